"""What a run leaves behind and goes on from: checkpoints, the run folder, exports."""
