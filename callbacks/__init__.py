"""One callback a file, each a transformers TrainerCallback; `callbacks.default` says which a run gets."""
