"""What gruut reads: a lexicon, and a statistical model for words that it lacks. MIT, as are its languages' packages."""

import threading
from collections.abc import Callable
from functools import lru_cache

AFFRICATES = {"t͡ʃ": "ʧ", "d͡ʒ": "ʤ", "t͡s": "ʦ", "d͡z": "ʣ"}  # one symbol each, as the other languages have them

_of_thread = threading.local()  # a connection to sqlite is its thread's


def read(text: str, code: str) -> str:
    """Words, apart by spaces, as gruut's phonemes of the language."""
    processor = _processor(code)
    graph, root = processor(text.replace("’", "'"), lang=code)
    parts = processor.sentences(graph, root, major_breaks=False, minor_breaks=False)
    said = " ".join("".join(word.phonemes) for sentence in parts for word in sentence if word.phonemes)
    for two, one in AFFRICATES.items():
        said = said.replace(two, one)
    return said


def _processor(code: str):
    """gruut's processor of a language, of this thread, with a lexicon that gives each word anew."""
    from gruut import TextProcessor  # here: it takes half a second, which a model of other languages need not wait

    processors = vars(_of_thread).setdefault("processors", {})
    if code not in processors:
        processors[code] = TextProcessor(default_lang=code)
        settings = processors[code].get_settings(code)
        settings.lookup_phonemes = _look_up(settings.lookup_phonemes)
    return processors[code]


def _look_up(lexicon: Callable[..., list[str] | None]) -> Callable[..., list[str] | None]:
    """gruut's lexicon, without what it does to a text by those before it.

    It hands out the list that it remembers of a word, and liaison appends to that list: "est" is "ɛ" at first, then
    "ɛt", then "ɛtt". And it takes what it found for one spelling as known under others.
    """

    @lru_cache(100_000)  # its table has no index: a look takes 4 ms, of a word that it lacks 16
    def found(*word, **how) -> tuple[str, ...] | None:
        phonemes = lexicon(*word, **how)
        lexicon.phonemizer.lexicon.clear()
        return None if phonemes is None else tuple(phonemes)

    def look_up(*word, **how) -> list[str] | None:
        phonemes = found(*word, **how)
        return None if phonemes is None else list(phonemes)

    return look_up
