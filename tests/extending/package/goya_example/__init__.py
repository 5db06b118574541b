"""What docs/extending.md shows: one thing of each kind that a package can add."""
