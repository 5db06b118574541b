"""Where utterances come from and how they become batches."""
