"""Faults put into the code on purpose, for benchmarks/mutants.py."""
