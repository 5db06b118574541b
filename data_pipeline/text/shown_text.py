"""What a model reads of a text, to look at before hours are trained on it."""

import re

from data_pipeline.errors import UserError, shown
from data_pipeline.normalize.persian import ZWNJ
from data_pipeline.text.given_text import argument_text, standard_input_text
from data_pipeline.text.tokens import BYTES, Vocabulary, normalize_text

UNSEEN = {" ": "␣", ZWNJ: "<zwnj>"}


def shown_text(text: str, language: str, vocabulary: Vocabulary) -> str:
    """The way of one text in lines: as given, as normalized, as its tokens, and what these spell when read back.

    A character without a token of its own stands in brackets with the bytes that it is read as. Raises UserError where
    nothing is left to speak, or phonemes are not to be had for the language.
    """
    normalized = normalize_text(text, language)
    if not any(map(str.isalnum, normalized)):
        raise UserError(f"The text {shown(text)!r} holds nothing to speak; expected words.")
    ids = vocabulary.encode(normalized, language)
    rows = [("as given", text), ("normalized", normalized)]
    if (spoken := vocabulary.spoken(normalized, language)) != normalized:
        rows.append(("phonemes", spoken))
    tokens, as_bytes = _with_bytes_marked([vocabulary.tokens[index] for index in ids])
    rows += [("tokens", f"{len(ids)}: {' '.join(tokens)}"), ("read back", vocabulary.decode(ids))]
    if as_bytes:
        names = ", ".join(f"{character} (U+{ord(character):04X})" for character in as_bytes)
        rows.append(("as bytes", f"{names}: no token of their own; a voice learns them only where they are frequent"))
    return "\n".join(f"{label:<12}{value}" for label, value in rows)


def _with_bytes_marked(tokens: list[str]) -> tuple[list[str], list[str]]:
    """The tokens with '[🙂 <0xf0> ...]' for those of a character in bytes; and such characters, each once."""
    shown, characters = [], []
    known_bytes, start = set(BYTES), 0
    while start < len(tokens):
        if tokens[start] not in known_bytes:
            shown.append(UNSEEN.get(tokens[start], tokens[start]))
            start += 1
            continue
        lead = int(tokens[start][1:-1], 16)
        # UTF-8; of ASCII the capitals have no token, which espeak-ng leaves in some languages.
        length = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        part = tokens[start : start + length]
        character = bytes(int(token[1:-1], 16) for token in part).decode("utf-8")
        shown.append(f"[{character} {' '.join(part)}]")
        characters += [character] if character not in characters else []
        start += length
    return shown, characters


def given_texts(text: str, standard_input) -> list[str]:
    """The text; for "-" each line of standard input that is not blank."""
    if text != "-":
        return [argument_text(text, "--show-text")]
    return [line for line in re.split(r"[\r\n]+", standard_input_text(standard_input)) if line.strip()]
