"""A text of any length to sentences short enough to be spoken at once, with the pause that follows each.

A rule of our own: of the packages tried, sentencex ends a French sentence after "M. Dupont et Mme." and cuts the
Persian number 3.5 in two. Where the rule is unsure it does not cut: a pause too few is heard less than one amid a name.
"""

import re
from dataclasses import dataclass

from data_pipeline.languages import language_code
from data_pipeline.normalize.reading import rules_of
from data_pipeline.text.tokens import is_heard

# Half of data.max_text_chars, the longest that training sees: numbers become words after this, and grow.
LONGEST_CHARS = 200

# Seconds of silence put between two parts that are spoken apart. Recordings keep 0.05 s at each end
# (audio.trim_silence), so 0.1 s more is heard. In the demo corpus, pauses between the sentences of a clip last 0.20 s
# (median; nine in ten up to 0.28 s) and those at commas 0.16 s (benchmarks/LOG.md).
SENTENCE_PAUSE_S = 0.2
CLAUSE_PAUSE_S = 0.06
PARAGRAPH_PAUSE_S = 0.6  # a breath, and a new thought: twice the longest pause between sentences

END = re.compile(r"""[.!?…؟۔।]+["'»”’)\]]*(?=\s)|[。！？]+[」』”’）]*""")
CLAUSE_END = re.compile(r"""[,;:،؛]["'»”’)\]]*(?=\s)|\s(?=[—–-]\s)|[、，；：]""")
SPACE = re.compile(r"\s")
OPENING = "\"'«»“”‘’„([¿¡-—– "

# What a full stop follows before a number only; what it follows otherwise is in each language's file.
BEFORE_NUMBER = frozenset(
    "no nos nr num núm nº n° p pp pág págs pag art fig vol ch cap sec ext apt jan feb mar apr jun jul aug sep sept oct "
    "nov dec ene abr ago dic".split()
)


@dataclass(frozen=True)
class Sentence:
    """What is spoken at once, and the seconds of silence after it; none after the last of a text."""

    text: str
    pause_s: float


def split_sentences(text: str, language: str | None = None, longest: int = LONGEST_CHARS) -> list[Sentence]:
    """Sentences of a text whose paragraphs are parted by empty lines; none where it holds no letter or digit.

    A sentence of more than `longest` characters is cut at the comma, else the space, nearest to its middle.
    """
    known = frozenset(rules_of(language_code(language)).within_sentences.split())
    found: list[Sentence] = []
    for paragraph in re.split(r"\n\s*\n", text):
        sentences = _with_words(_sentences(" ".join(paragraph.split()), known))
        parts = [part for sentence in sentences for part in _short_enough(sentence, longest)]
        if parts:
            found += [*parts[:-1], Sentence(parts[-1].text, PARAGRAPH_PAUSE_S)]
    return [*found[:-1], Sentence(found[-1].text, 0.0)] if found else []


def _sentences(paragraph: str, abbreviations: frozenset[str]) -> list[str]:
    parts, start = [], 0
    for match in END.finditer(paragraph):
        if _ends_sentence(paragraph[start : match.end()], paragraph[match.end() :], abbreviations):
            parts.append(paragraph[start : match.end()].strip())
            start = match.end()
    return [*parts, paragraph[start:].strip()]


def _ends_sentence(before: str, after: str, abbreviations: frozenset[str]) -> bool:
    following = after.lstrip(OPENING)[:1]
    if following.islower():  # "e.g. this", and: "Really?" she said
        return False
    word = before.split()[-1].lstrip(OPENING).casefold()
    if not word.endswith(".") or word.endswith(".."):
        return True
    word = word[:-1]
    # An initial; p.m, U.S, and their like in any script.
    if len(word) == 1 and word.isalpha() or re.search(r"[^\W\d]\.", word):
        return False
    return word not in abbreviations and not (word in BEFORE_NUMBER and following.isdigit())


def _with_words(sentences: list[str]) -> list[str]:
    """What holds nothing to speak, such as a row of dots, goes to the sentence before it."""
    kept: list[str] = []
    for sentence in sentences:
        if is_heard(sentence):
            kept.append(sentence)
        elif kept:
            kept[-1] = f"{kept[-1]} {sentence}".strip()
    return kept


def _short_enough(sentence: str, longest: int, pause_s: float = SENTENCE_PAUSE_S) -> list[Sentence]:
    if len(sentence) <= longest:
        return [Sentence(sentence, pause_s)]
    cut, pause = _cut(sentence)
    first, second = sentence[:cut].strip(), sentence[cut:].strip()
    return [*_short_enough(first, longest, pause), *_short_enough(second, longest, pause_s)]


def _cut(sentence: str) -> tuple[int, float]:
    """Where, and with what pause. In the middle half, so that no part is a word or two."""
    middle, quarter = len(sentence) / 2, len(sentence) // 4
    for pattern, pause in ((CLAUSE_END, CLAUSE_PAUSE_S), (SPACE, 0.0)):
        places = [match.end() for match in pattern.finditer(sentence) if abs(match.end() - middle) <= quarter]
        if places:
            return min(places, key=lambda place: abs(place - middle)), pause
    return len(sentence) // 2, 0.0  # a script without spaces
