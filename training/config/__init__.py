"""What is set: the fields, the levels, flags and files, and how they become one configuration."""
