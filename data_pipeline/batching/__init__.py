"""Which utterances make which batch, and their tensors."""
