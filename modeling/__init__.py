"""The acoustic model: configuration, network, losses, processor and vocoders."""
