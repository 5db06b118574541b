"""Runs that are killed, for benchmarks/crashes.py and benchmarks/faults.py."""
