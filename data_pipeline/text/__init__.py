"""From a transcript to tokens."""
