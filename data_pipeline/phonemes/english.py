"""English (General American) by hibari-tts' front end: misaki's lexicon and rules, a tagger for homographs, a small
network for words that the lexicon lacks. Apache-2.0."""

from functools import cache

ALPHABET = "a-zàáâäãåæçèéêëíîïñóôöøœúûü"

# Its letters for what the vocabulary writes in two, and for sounds that are written otherwise there.
IPA = str.maketrans({"A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "T": "ɾ", "ᵊ": "ə"})


def words(text: str) -> str:
    """Words, apart by spaces, as phonemes with primary and secondary stress."""
    return _reader()(text, normalize_text=False).translate(IPA)


@cache
def _reader():
    from hibari.g2p import G2P

    return G2P()
