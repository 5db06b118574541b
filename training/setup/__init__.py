"""From the configuration to what trains: model, data, optimizer, trackers."""
