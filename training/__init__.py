"""How a run is configured and trained: config, levels, hardware, loop, step, optimizer, checkpoints."""
