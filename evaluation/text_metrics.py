"""Error rates of what a recognizer heard against what should have been said.

Both texts go through the same normalization first, so a way of writing does not count as a mispronunciation.
"""

import re
import unicodedata
from collections.abc import Sequence

from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

from data_pipeline.errors import UserError
from data_pipeline.languages import language_code
from data_pipeline.text.tokens import normalize_text
from evaluation.metrics import load_metric

ENGLISH = EnglishTextNormalizer({})
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def character_error_rate(heard: Sequence[str], said: Sequence[str], language: str = "en") -> float:
    """Character edits over characters said, summed over the corpus (0.05 is 5 %; above 1 is possible).

    Raises UserError where the lists differ in length, nothing was said, or the extra `eval` is not installed.
    """
    return error_rate("cer", heard, said, language)["cer"]


def word_error_rate(heard: Sequence[str], said: Sequence[str], language: str = "en") -> float:
    """As character_error_rate, for words."""
    return error_rate("wer", heard, said, language)["wer"]


def error_rate(metric: str, heard: Sequence[str], said: Sequence[str], language: str) -> dict[str, float]:
    """All that the metric answers, of the normalized texts."""
    if len(heard) != len(said):
        raise UserError(f"{metric}: {len(heard)} texts heard against {len(said)} texts said, not as many")
    predictions = [normalize_for_scoring(text, language) for text in heard]
    references = [normalize_for_scoring(text, language) for text in said]
    return load_metric(metric).compute(predictions=predictions, references=references)


def normalize_for_scoring(text: str, language: str | None = "en") -> str:
    """Lower case, no punctuation, numbers as words, single spaces.

    English goes through Whisper's normalizer (Radford et al. 2022, appendix C, without its table of British
    spellings): contractions are spelled out, "uh", "um" and text in brackets dropped, numbers brought to
    digits. The digits are then read one by one, which is the only reading that "press 1" and "press one",
    "10:30" and "ten thirty", "555-1234" and "five five five one two three four" share. Other languages are
    normalized as the text of training is, and keep their accents.
    """
    if language_code(language) == "en":
        # Whisper's normalizer takes the o of o'clock for a zero.
        text = ENGLISH(text.lower().replace("\u2019", "'").replace("o'clock", "oclock"))
        text = re.sub(r"\d", lambda digit: f" {DIGITS[int(digit[0])]} ", text.replace("%", " percent "))
    else:
        text = normalize_text(text, language)
    # Marks (category M) stay: they are vowels in Arabic script and in those of India.
    return " ".join("".join(" " if unicodedata.category(char)[0] in "PS" else char for char in text).split())
