"""What is measured, in rooms; each script is run from the project's root, as `python -m benchmarks.ROOM.NAME`."""
