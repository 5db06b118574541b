"""Runs that are killed, for benchmarks/reliability/crashes.py and benchmarks/reliability/faults.py."""
