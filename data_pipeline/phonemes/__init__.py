"""Texts as phonemes: a module for each language, and one for espeak-ng, which reads many. The door is registry.py."""
