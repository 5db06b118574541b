"""The acoustic model: configuration, network, losses and processor."""
