"""What a run does: steps, validation, schedule, its end and what it says."""
