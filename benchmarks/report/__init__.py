"""Pages and tables out of benchmarks/results/: nothing is measured here."""
