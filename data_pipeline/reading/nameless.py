"""Which column is what in a table without a header, told by what stands in it, and asked for where that does not tell.

Tools order them in every way: id|text|normalized text (LJSpeech), path|text|speaker (Coqui), id|speaker|text (Piper,
VITS), path|speaker|language|text (GPT-SoVITS), text first. To take one for another trains on names of speakers.
"""

import os
import re
from collections import Counter

from data_pipeline.errors import UserError, shown
from data_pipeline.languages import language_code
from data_pipeline.reading.columns import ColumnNames, plain_name
from data_pipeline.reading.files import find_recording
from data_pipeline.reading.source_rows import AUDIO_SUFFIXES

ROWS_READ = 100
LABEL_WORDS = 3  # of a speaker's name, at most
SENTENCE_WORDS = 3  # a column of more on average holds texts


class _Column:
    """The values of one column in the first rows."""

    def __init__(self, number: int, values: list[str], folder: str):
        self.name = f"column_{number}"
        self.values = [value.strip() for value in values]
        self.filled = [value for value in self.values if value]
        self.words = [set(re.findall(r"\w+", value.lower())) for value in self.values]
        self.distinct = len(set(self.filled))
        self.files = sum(find_recording([folder], value) is not None for value in self.filled)
        self.endings = sum(value.lower().endswith(AUDIO_SUFFIXES) for value in self.filled)

    @property
    def mean_words(self) -> float:
        return sum(map(len, self.words)) / max(1, len(self.filled))

    @property
    def repeats(self) -> bool:
        """As names of speakers do."""
        return 2 * self.distinct <= len(self.filled) and self.mean_words <= LABEL_WORDS

    @property
    def is_language(self) -> bool:
        return self.distinct * 2 <= max(2, len(self.filled)) and all(map(language_code, self.filled))

    @property
    def is_number(self) -> bool:
        return all(re.fullmatch(r"[+-]?\d+([.,]\d+)?", value) for value in self.filled)

    @property
    def is_label(self) -> bool:
        """One word with a digit in it in each row, such as p225 or spk_01."""
        return all(re.fullmatch(r"[\w-]*\d[\w-]*", value) for value in self.filled)

    def says_the_same_as(self, other: "_Column") -> bool:
        """As a sentence does and the same with its numbers spelled out: most rows share a word."""
        pairs = [(a, b) for a, b in zip(self.words, other.words, strict=True) if a and b]
        return sum(bool(a & b) for a, b in pairs) * 2 > len(pairs)


def has_no_header(line: list[str], path: str, known: set[str]) -> bool:
    """Whether a table's first line is a row: it names no known column, or it names a recording that is there."""
    if len(line) < 2:
        return False
    names = {name.strip() for name in line} | set(map(plain_name, line))
    folder = os.path.dirname(path)
    return not known & names or any(find_recording([folder], cell.strip()) for cell in line if cell.strip())


def names_by_content(path: str, rows: list[list[str]], given: ColumnNames) -> tuple[str, ...]:
    """A name for each column: file, text, normalized_text, speaker, language, or column_3 and so on.

    given: columns that the user named so. Raises UserError where the text, or which of several is the speaker, cannot
    be told.
    """
    width = Counter(len(row) for row in rows if len(row) > 1).most_common(1)[0][0]  # the first row has several
    whole = [row for row in rows if len(row) == width][:ROWS_READ]
    folder = os.path.dirname(path)
    columns = [_Column(place + 1, [row[place] for row in whole], folder) for place in range(width)]
    given_names = {given.text, given.audio, given.speaker, given.language}
    names = {column.name: column.name for column in columns}
    left = [column for column in columns if column.name not in given_names]
    if given.audio not in names:
        file = _file_column(path, left, columns)
        names[file.name] = "file"
        left.remove(file)
    for role, column in _roles(path, left, columns, given, given.text in names).items():
        if role != "speaker" or given.speaker not in names:
            names[column.name] = role
    return tuple(names[column.name] for column in columns)


def _file_column(path: str, left: list[_Column], columns: list[_Column]) -> _Column:
    if not left:
        raise _unclear(path, columns, "the audio")
    for evidence in ("files", "endings"):
        best = max(getattr(column, evidence) for column in left)
        found = [column for column in left if getattr(column, evidence) == best]
        if best and len(found) > 1:
            raise _unclear(path, columns, "the audio")
        if best:
            return found[0]
    return left[0]


def _roles(
    path: str, left: list[_Column], columns: list[_Column], given: ColumnNames, has_text: bool
) -> dict[str, _Column]:
    """Text and what stands beside it: role -> column."""
    roles: dict[str, _Column] = {}
    left = [column for column in left if column.filled]
    languages = [column for column in left if column.is_language]
    if len(languages) == 1 and (len(left) > 1 or has_text):
        roles["language"] = languages[0]
        left.remove(languages[0])
    numbers = [column for column in left if column.is_number]
    words = [column for column in left if not column.is_number]
    if not words and not has_text:  # the texts are numbers, or there are none
        if len(numbers) != 1:
            raise _unclear(path, columns, "the text")
        return roles | {"text": numbers[0]}
    labels = [column for column in words if column.repeats]
    labels += [column for column in numbers if column.repeats and not any(re.search("[.,]", v) for v in column.filled)]
    if not has_text:
        roles |= _texts(path, words, columns)
        labels = [column for column in labels if column not in roles.values()]
        if "speaker" in roles:
            return roles
    if len(labels) > 1 and given.speaker is None:
        raise _unclear(path, columns, "the speaker")
    if labels:
        roles["speaker"] = labels[0]
    return roles


def _texts(path: str, words: list[_Column], columns: list[_Column]) -> dict[str, _Column]:
    """The text among columns of words; with it a second spelling of it, or a speaker that is another in each row."""
    for first, second in zip(words, words[1:], strict=False):
        if first.says_the_same_as(second):
            return {"text": first, "normalized_text": second}
    texts = [column for column in words if not column.repeats]
    if len(words) == 1 or len(texts) == 1:
        return {"text": (texts or words)[0]}
    if len(texts) == 2:
        if all(column.mean_words > SENTENCE_WORDS for column in texts):
            return {"text": texts[0], "normalized_text": texts[1]}
        for label, text in (texts, reversed(texts)):
            if label.is_label and not text.is_label and text.mean_words > 1:
                return {"text": text, "speaker": label}
    raise _unclear(path, columns, "the text")


def _unclear(path: str, columns: list[_Column], what: str) -> UserError:
    found = ", ".join(f"{column.name} {shown(next(iter(column.filled), ''), 40)!r}" for column in columns)
    return UserError(
        f"{path} has no line of column names, and which of its columns holds {what} cannot be told from what is in "
        f"them ({found}). Name them, as in --audio-column column_1 --speaker-column column_2 --text-column column_3, "
        "or write a first line such as file|speaker|text."
    )
