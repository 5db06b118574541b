"""Text to phonemes (International Phonetic Alphabet), by what is installed by default: nothing here is GPL.

A small corpus shows how a language sounds, not how it is spelled: phonemes leave only the former to learn. A language
is one module beside this one and one line of PHONEMIZERS.
"""

from collections.abc import Callable
from typing import NamedTuple

from data_pipeline.phonemes import english, french, italian, spanish
from data_pipeline.phonemes.words import by_words


class Phonemizer(NamedTuple):
    """alphabet: the lower-case letters that it reads, as a set in a regular expression. words: a run of such words, a
    space between, to their phonemes. packages: what it needs of pip's, for those who install them one by one."""

    alphabet: str
    words: Callable[[str], str]
    packages: tuple[str, ...] = ()


# By ISO 639-1 code. A trained model names those that it was trained with, so that one more changes no model of before.
PHONEMIZERS = {
    "en": Phonemizer(english.ALPHABET, english.words, ("hibari-tts",)),
    "es": Phonemizer(spanish.ALPHABET, spanish.words),
    "fr": Phonemizer(french.ALPHABET, french.words, ("gruut", "gruut-lang-fr")),
    "it": Phonemizer(italian.ALPHABET, italian.words, ("gruut", "gruut-lang-it")),
}


def phonemize(text: str, code: str) -> str:
    """Normalized text of a language of PHONEMIZERS as phonemes, with stress marks where the language stresses words.

    Punctuation and the spaces between words are kept; words in letters that the language does not have stay as they
    are written.
    """
    phonemizer = PHONEMIZERS[code]
    return by_words(text, phonemizer.alphabet, phonemizer.words)
