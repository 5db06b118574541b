"""Read the transcript lists of the asterisk-core-sounds packages and clean one text.

A list has one `name: text` a line, `;` begins a comment line. Nothing is corrected: a row is kept as it is
written, or its text loses something nobody says (a note, an ellipsis, a stray quotation mark; each such edit
is returned, so that it can be listed), or the row is dropped with a reason. Misspellings and missing accents
stay.
"""

import gzip
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

SYMBOLS_SAID_AS_WORDS = "*#@$[]{}<>|~^_\\/"
ELLIPSIS = re.compile(r"\.\.\.+|…")
BRACKETED = re.compile(r"\[[^\]]*\]|\([^)]*\)|<[^>]*>")
# Notes to the reader of the list, not speech: a written symbol beside its name, a remark, an emphasis mark.
NOTE = re.compile(r"""\s*(?:\[[^\w\s]\]|\[\s\]|\(note:[^)]*\)|\(emphase\))""")
QUOTES = '"“”«»'


class Dropped(Exception):
    """This row cannot be used; the message is the reason, a short phrase that rows are counted by."""


@dataclass(frozen=True)
class Transcript:
    name: str  # path of the recording below the voice's folder, without its suffix: "digits/1"
    text: str


def read_list(path: Path) -> list[Transcript]:
    """All rows of one list in file order, texts as written (they may be empty, names may repeat)."""
    rows = []
    for line in gzip.decompress(path.read_bytes()).decode("utf-8-sig").splitlines():
        if not line.strip() or line.startswith(";"):
            continue
        name, separator, text = line.partition(":")
        if not separator:
            raise ValueError(f"{path}: expected 'name: text', found {line!r}")
        rows.append(Transcript(name.strip(), text.strip()))
    return rows


def clean(text: str, names: set[str]) -> tuple[str, list[str]]:
    """The speakable text and the names of the edits made; raises Dropped.

    `names` holds the names of the same list: one of them inside a text means that two rows ran together.
    """
    edits = []
    if any(name in names for name in re.findall(r"([\w/-]+): ", text)):
        raise Dropped("two rows run together")

    def edit(name: str, new: str) -> None:
        nonlocal text
        if new != text:
            edits.append(name)
        text = new

    edit("unicode or whitespace", re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip())
    if not text:
        raise Dropped("no text")
    if BRACKETED.fullmatch(text):
        raise Dropped("not speech (the text is a note)")
    edit("note removed", NOTE.sub("", text))
    if BRACKETED.search(text):
        raise Dropped("note in brackets that may be heard")
    edit("stray quotation mark", strip_stray_quotes(text))
    edit("ellipsis", strip_ellipsis(text))
    if any(symbol in text for symbol in SYMBOLS_SAID_AS_WORDS):
        raise Dropped("symbol read as a word")
    if not any(c.isalnum() for c in text):
        raise Dropped("no text")
    return text, edits


def strip_stray_quotes(text: str) -> str:
    """Remove quotation marks around the whole text and a single mark without a partner."""
    marks = [i for i, c in enumerate(text) if c in QUOTES]
    whole = len(marks) == 2 and marks[0] == 0 and marks[1] == len(text) - 1
    if whole or len(marks) == 1:
        return "".join(c for c in text if c not in QUOTES).strip()
    return text


def strip_ellipsis(text: str) -> str:
    """Remove a leading ellipsis; write one at the end as three dots on the last word.

    The list marks with it that a prompt goes before or after another; the words beside it are whole. At the
    end it stays, for it is heard: the voice does not fall.
    """
    text = re.sub(rf"^(?:{ELLIPSIS.pattern})\s*", "", text)
    return re.sub(rf"[\s,]*(?:{ELLIPSIS.pattern})$", "...", text)
