"""How a text is spoken."""

AUTO = "auto"  # the vocoder that fits the model's mels
