"""From the bytes of a recording to its mel spectrogram."""
