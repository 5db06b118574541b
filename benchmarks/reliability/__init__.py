"""What was tried to break it: scripts that kill, harm and surprise it, and count what came of that."""
