"""The error for mistakes that a user can put right."""


class UserError(ValueError):
    """Says what was found and where, what was expected, and what to do; front ends print it and exit with 2."""
