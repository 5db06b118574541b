"""Italian by gruut: its lexicon knows the stress and the open vowels that the spelling does not show."""

import re

from data_pipeline.phonemes.gruut_words import read

ALPHABET = "a-zàèéìíîòóùú"
STRESSED_SYLLABLE = re.compile("ˈ([^aeiouɛɔˈ ]+)(?=[aeiouɛɔ])")


def words(text: str) -> str:
    """Words, apart by spaces, with ˈ before the stressed vowel, as the other languages have it."""
    return STRESSED_SYLLABLE.sub(r"\1ˈ", read(text, "it"))
