"""What gruut reads: a lexicon, and a statistical model for words that it lacks. MIT, as are its languages' packages."""

AFFRICATES = {"t͡ʃ": "ʧ", "d͡ʒ": "ʤ", "t͡s": "ʦ", "d͡z": "ʣ"}  # one symbol each, as the other languages have them


def read(text: str, code: str) -> str:
    """Words, apart by spaces, as gruut's phonemes of the language."""
    from gruut import sentences  # here: it takes half a second, which a model of other languages need not wait

    parts = sentences(text.replace("’", "'"), lang=code, major_breaks=False, minor_breaks=False)
    said = " ".join("".join(word.phonemes) for sentence in parts for word in sentence if word.phonemes)
    for two, one in AFFRICATES.items():
        said = said.replace(two, one)
    return said
