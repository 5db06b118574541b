"""Any text, by any unit and language, through what training and synthesis read it with."""

import random
from pathlib import Path

from benchmarks.reliability.fuzzing.drawn import Ill, digits, letters, word
from data_pipeline.errors import UserError
from data_pipeline.languages import LANGUAGES
from data_pipeline.text.sentences import split_sentences
from data_pipeline.text.shown_text import shown_text
from data_pipeline.text.tokens import normalize_text
from inference.known_languages import doubts, language_to_speak

WRITTEN = ("12.5.2024", "2024-02-30", "31/12", "5:60", "$3.50", "€1.000.000,00", "XIV", "Mr. O'Neil", "e.g.", "3°C",
           "1/2", "½", "10e400", "+49 (0)30", "a@b.cd", "http://x.y/?z", "50%", "n° 5", "№7", "#1", "1st", "2ème",
           "IV. Kapitel", "km/h", "-273,15", "1.2.3.4", "1,2,3", "§ 9", "٣٫١٤", "۱۴۰۳/۰۱/۰۱", "C++", "!?…", "...",
           "\u200c", "\u202e", "\u0301", "ﷺ", "ﬁ", "½½", "²³", "①", "〇一二", "İIıi", "ß", "ǅ", "\ufffd")  # fmt: skip
MANY = 100_000  # characters
MOST_SENTENCES = 50  # of such a text, each of which is read by itself


def text(draw: random.Random, work: Path, kit) -> None:
    said, language = drawn_text(draw), draw.choice([*LANGUAGES, *LANGUAGES, "en", "fa-IR", None, "klingon", word(draw)])
    processor = draw.choice(kit.readers)
    vocabulary = processor.tokenizer.vocabulary
    first = _read(said, language, processor)
    _read(drawn_text(draw)[:500], draw.choice(list(LANGUAGES)), processor)  # what was read between leaves no trace
    if _read(said, language, processor) != first:
        raise Ill("not the same", f"{said[:200]!r} in {language!r} is read in two ways")
    once = normalize_text(said, language)
    if len(once) < 2000 and normalize_text(once, language) != once:
        raise Ill("not stable", f"{said[:200]!r} in {language!r}: {once[:200]!r} becomes another text again")
    shown_text(said, language, vocabulary)
    doubts(said, language_to_speak(language, {"ann-en", "bob-fa"}, vocabulary), {"ann-en", "bob-fa"})


def _read(said: str, language: str | None, processor) -> list:
    """Ids of each sentence, or why one has none; and of the whole, as a row is read."""
    found = [_ids(sentence.text, language, processor) for sentence in split_sentences(said, language)[:MOST_SENTENCES]]
    if len(said) <= 2000:
        found.append(_ids(said, language, processor))
    return found


def _ids(said: str, language: str | None, processor) -> list[int] | str:
    try:
        return processor(text=said, language=language)["input_ids"][0].tolist()
    except UserError as error:
        return str(error)


def drawn_text(draw: random.Random) -> str:
    parts = [
        draw.choice([letters, letters, digits, _written, _written, _plain])(draw) for _ in range(draw.randint(1, 8))
    ]
    said = draw.choice(["", " ", " ", ", ", ". ", "\n\n"]).join(parts)
    how = draw.random()
    if how < 0.03:
        return said * (MANY // max(1, len(said)))
    if how < 0.05:
        return draw.choice(said) * draw.choice([1000, MANY])
    return said


def _written(draw: random.Random) -> str:
    return draw.choice(WRITTEN)


def _plain(draw: random.Random) -> str:
    return draw.choice(
        ["Hello", "the cat", "¿Qué tal?", "Ça va", "Straße", "привет", "سلام", "नमस्ते", "こんにちは", "你好"]
    )
