"""Other makers of voices, trained on the demo corpus to compare how soon they speak."""
