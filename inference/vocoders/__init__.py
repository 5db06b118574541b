"""From a log-mel spectrogram back to a wave; a file a vocoder, named as its key in the registry."""
