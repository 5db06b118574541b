"""Text to phonemes by espeak-ng, which the package espeakng-loader carries: 80 languages, with stress marks.

espeak-ng is GPL-3, so it is an extra (`espeak`) and never needed by default.
"""

import ctypes
import importlib.util
import re
import unicodedata
from functools import cache

from data_pipeline.errors import UserError, shown
from data_pipeline.languages import language_code
from data_pipeline.phonemes.words import runs

# espeak-ng's voice where it is not named after the language alone: General American, Latin American.
VOICES = {"en": "en-us", "es": "es-419", "no": "nb", "zh": "cmn"}
SYNCHRONOUS, NO_OPTIONS, UTF_8, IPA = 2, 0, 1, 0x02  # speak_lib.h
LANGUAGE_SWITCH = re.compile(r"\([a-z-]+\)")  # "(en)", where espeak-ng takes a word for a foreign one
NAMED = re.compile(r"\(en\)")  # it says what a character is called ("Chinese letter"), in English
POINTS = re.compile("[\u0591-\u05c7]")  # of Hebrew, which it names one by one


def is_installed() -> bool:
    return importlib.util.find_spec("espeakng_loader") is not None


def phonemize(text: str, language: str | None) -> str:
    """Normalized text as phonemes with stress marks, its punctuation and the spaces between words kept.

    Raises UserError where the language is not said or espeak-ng does not know it.
    """
    code = _choose(language)
    # espeak-ng swallows punctuation, so it gets what stands between.
    if code == "he":
        text = POINTS.sub("", text)
    parts = [_spoken(part) if spelled else part for spelled, part in runs(text)]
    return " ".join("".join(parts).split())


def _spoken(words: str) -> str:
    """A run of words with the spaces around it."""
    if not words.strip():
        return words
    before, after = (" " if edge.isspace() else "" for edge in (words[0], words[-1]))
    rest = ctypes.c_char_p(words.encode("utf-8"))
    clauses = []
    while rest.value:  # a clause a call
        clauses.append(_library().espeak_TextToPhonemes(ctypes.byref(rest), UTF_8, IPA).decode("utf-8"))
    if NAMED.search(" ".join(clauses)) and not any("LATIN" in unicodedata.name(c, "") for c in words):
        raise UserError(
            f"espeak-ng cannot read {shown(words.strip())!r}: it would say what its characters are called. Expected "
            "letters of the text's language (Japanese in kana); correct the text, or give --set "
            "data.text_units=characters."
        )
    return before + LANGUAGE_SWITCH.sub("", " ".join(clauses)).strip() + after


def _choose(language: str | None) -> str:
    code = language_code(language)
    if code is None:
        raise UserError(
            "espeak-ng needs to know the language of a text, and a row names none. Give --language, as in --language "
            "en, or --set data.text_units=characters."
        )
    if _library().espeak_SetVoiceByName(VOICES.get(code, code).encode()) != 0:
        raise UserError(
            f"espeak-ng has no phonemes for the language {shown(language)!r}. Give --set data.text_units=characters."
        )
    return code


@cache
def _library() -> ctypes.CDLL:
    """espeak-ng, once a process; it holds one voice at a time."""
    require()
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
    rate_hz = library.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), NO_OPTIONS)
    assert rate_hz > 0, "espeak-ng does not find its data"
    return library


def require() -> None:
    """Raises UserError where the extra is missing."""
    if not is_installed():
        raise UserError(
            'Phonemes come from espeakng-loader, which is not installed: run pip install -e ".[espeak]", or give '
            "--set data.text_units=characters."
        )
