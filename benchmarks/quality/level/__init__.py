"""Runs of the optimization levels, watched from inside, and what their curves say."""
