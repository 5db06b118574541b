"""What time and memory it takes: scripts that time training, data and synthesis."""
