"""The boundaries that benchmarks/fuzz.py tries, a file for each kind of what users give."""
