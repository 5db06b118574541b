"""French by gruut, with liaison between words. French has no stress of words to mark."""

from data_pipeline.phonemes.gruut_words import read

ALPHABET = "a-zàâäçéèêëîïôöùûüÿœæ"


def words(text: str) -> str:
    return read(text, "fr")
