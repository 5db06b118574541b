"""The faults of benchmarks/reliability/faults.py: each provokes one through the front door and says how it ended."""
