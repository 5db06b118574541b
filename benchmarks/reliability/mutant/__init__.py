"""Faults put into the code on purpose, for benchmarks/reliability/mutants.py."""
