"""What the scripts of all rooms share: where things lie, what a figure was measured on, their command lines."""
