"""A package, so that no other package of this name that is installed stands before it (gruut brings one)."""
