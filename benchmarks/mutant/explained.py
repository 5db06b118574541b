"""Mutants that do nothing else than the code does, or nothing that a test could be for: name -> why."""

EXPLAINED: dict[str, str] = {}
