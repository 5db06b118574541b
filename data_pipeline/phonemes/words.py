"""A text cut into what a phonemizer reads, runs of words in its letters, and what it must not see."""

import re
import unicodedata
from collections.abc import Callable
from itertools import groupby

JOINERS = "'’-\u200c\u200d"  # within a word these are spelling


def is_spelling(character: str) -> bool:
    """Whether a character spells words: letters, digits, the marks that combine with them (vowel signs, accents)."""
    return character in JOINERS or unicodedata.category(character)[0] in "LMN"


def runs(text: str) -> list[tuple[bool, str]]:
    """The text in parts, (whether it is words with the spaces between them, the part): joined they are the text."""
    words = re.findall(r"\s+|\S+", text)
    kinds: list[tuple[bool, str]] = []
    for word in words:
        for spelled, characters in groupby(word, lambda c: c.isspace() or is_spelling(c)):
            kinds.append((spelled, "".join(characters)))
    return [(spelled, "".join(part for _, part in parts)) for spelled, parts in groupby(kinds, lambda kind: kind[0])]


def by_words(text: str, alphabet: str, read: Callable[[str], str]) -> str:
    """Each run of words that `alphabet` spells as `read` says it; other words, and punctuation, as they are.

    alphabet: lower-case letters; apostrophes and hyphens within words go with any.
    """
    readable = re.compile(rf"[{alphabet}'’-]*[{alphabet}][{alphabet}'’-]*")
    parts = []
    for spelled, part in runs(text):
        if not spelled:
            parts.append(part)
            continue
        words = part.split()
        said = [
            read(" ".join(group)) if known else " ".join(group)
            for known, group in groupby(words, lambda word: readable.fullmatch(word) is not None)
        ]
        spaces = [" " if part[:1].isspace() else "", " " if part[-1:].isspace() and words else ""]
        parts.append(spaces[0] + " ".join(filter(None, said)) + spaces[1])
    return " ".join("".join(parts).split())
