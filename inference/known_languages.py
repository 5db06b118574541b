"""Which languages a model has learned, and what it can not be expected to speak well: other languages and scripts."""

import re
import unicodedata
from collections.abc import Iterable

from data_pipeline.errors import UserError, shown
from data_pipeline.languages import LANGUAGES, language_code, language_token
from data_pipeline.text.tokens import Vocabulary
from inference.voices import known_voices

# First words of Unicode's names of letters. Languages that are not here are written in Latin letters.
SCRIPTS = {
    **dict.fromkeys("ru uk be bg mk tg kk ky tt ba ce".split(), {"CYRILLIC"}),
    **dict.fromkeys("sr bs uz az tk mn".split(), {"CYRILLIC", "LATIN", "MONGOLIAN"}),
    **dict.fromkeys("ar fa ur ps ug sd".split(), {"ARABIC", "TATWEEL"}),
    **dict.fromkeys("hi mr ne".split(), {"DEVANAGARI"}),
    **dict.fromkeys("bn as".split(), {"BENGALI"}),
    **dict.fromkeys("am ti".split(), {"ETHIOPIC"}),
    "ku": {"LATIN", "ARABIC"}, "ha": {"LATIN", "ARABIC"}, "pa": {"GURMUKHI", "ARABIC"}, "el": {"GREEK"},
    "he": {"HEBREW"}, "ka": {"GEORGIAN"}, "hy": {"ARMENIAN"}, "ta": {"TAMIL"}, "te": {"TELUGU"}, "kn": {"KANNADA"},
    "ml": {"MALAYALAM"}, "gu": {"GUJARATI"}, "or": {"ORIYA"}, "si": {"SINHALA"}, "th": {"THAI"}, "lo": {"LAO"},
    "km": {"KHMER"}, "my": {"MYANMAR"}, "ko": {"HANGUL", "CJK"}, "zh": {"CJK", "BOPOMOFO", "LATIN"},
    "ja": {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "LATIN"},
}  # fmt: skip
MOST_SHOWN = 3  # words of a foreign script


def known_languages(voices: Iterable[str]) -> list[str]:
    """Codes of the languages that the names of stored voices say, sorted; none where they say none."""
    return sorted({language for heard_in in known_voices(voices).values() for language in heard_in})


def only_language(voices: Iterable[str]) -> str | None:
    """The language of all voices; None where they name none. Raises UserError where they name several."""
    languages = known_languages(voices)
    if len(languages) > 1:
        raise UserError(f"This model speaks {', '.join(languages)}; say which, as in language={languages[0]!r}.")
    return languages[0] if languages else None


def language_to_speak(given: str | None, voices: Iterable[str], vocabulary: Vocabulary) -> str:
    """The language of a text: as given, else English where the model knows it or names none, else its first.

    Raises UserError for one that is neither a language nor a token of the model.
    """
    known = known_languages(voices)
    if given is None:
        return known[0] if known and "en" not in known else "en"
    if language_code(given) is None and language_token(given) not in vocabulary.tokens:
        speaks = ", ".join(map(named, known)) or f"such as {named('en')}"
        raise UserError(f"{shown(given)!r} is no language that this model has a token for; it speaks {speaks}.")
    return given


def doubts(text: str, language: str, voices: Iterable[str]) -> list[str]:
    """Why a text may come out as nonsense, a sentence each: its language or its letters were never trained on."""
    known = known_languages(voices)
    if not known or language_code(language) is None:  # such a language has a token only where it was trained on
        return []
    speaks, told = f"This model was trained on {', '.join(map(named, known))}", []
    if language_code(language) not in known:
        told.append(f"{speaks}, not on {named(language)}, and will not sound like it.")
    scripts = set().union(*(SCRIPTS.get(code, {"LATIN"}) for code in known))
    foreign = dict.fromkeys(word for word in re.findall(r"\w+", text) if _is_foreign(word, scripts))
    if foreign:
        words = ", ".join(shown(word, 60) for word in list(foreign)[:MOST_SHOWN]) + (
            " and more" if len(foreign) > MOST_SHOWN else ""
        )
        told.append(f"{speaks}, and these words are in letters of another script: {words}. Expect nonsense for them.")
    return told


def named(language: str) -> str:
    code = language_code(language)
    return f"{LANGUAGES[code].capitalize()} ({code})" if code else language


def _is_foreign(word: str, scripts: set[str]) -> bool:
    """Two letters of one script or more; a single letter may be a symbol, such as pi. Chinese words may be one."""
    foreign = [one for one in word if one.isalpha() and not _script(one) & (scripts | SHARED)]
    return len(foreign) > 1 or any(_script(one) == {"CJK"} for one in foreign)


# Letters of no script of their own, such as the ordinals of Spanish and the micro sign.
SHARED = {"FEMININE", "MASCULINE", "MICRO", "MODIFIER", "FULLWIDTH", "SUPERSCRIPT", "DOUBLE-STRUCK", "SCRIPT"}


def _script(letter: str) -> set[str]:
    return {unicodedata.name(letter, "?").split()[0]}
