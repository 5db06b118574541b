"""The boundaries that benchmarks/reliability/fuzz.py tries, a file for each kind of what users give."""
