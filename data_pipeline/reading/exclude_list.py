"""The list of rows that are not to be trained on: `--check-data` writes one, `--exclude-list` takes one.

Tab-separated: an id in the first column, whatever else (a reason) behind it. So a plain list of ids is one too.
"""

import csv
import os
from collections.abc import Iterable
from pathlib import Path

from data_pipeline.errors import UserError, shown
from data_pipeline.reading.source_rows import check_utf8

HEADING = ("id", "reason")
MOST_TOLD = 5  # unknown ids that a message names


def read_exclude_list(path: str | None) -> frozenset[str]:
    """The ids of a list; none where there is no path. Raises UserError where it cannot be read or holds no id."""
    if path is None:
        return frozenset()
    if not os.path.isfile(path):
        raise UserError(
            f"There is no exclude list {path} (looked for {Path(path).absolute()}); expected a text file with the id "
            "of a row in each line, as train_main.py --check-data writes it."
        )
    try:
        check_utf8(path)
        with open(path, encoding="utf-8-sig") as file:
            lines = [[cell.strip() for cell in _cells(line.rstrip("\r\n"))] for line in file]
    except OSError as error:
        raise UserError(f"The exclude list {path} cannot be read ({error.strerror or error}).") from error
    has_heading = bool(lines) and tuple(lines[0][:2]) == HEADING
    ids = frozenset(line[0] for line in lines[has_heading:] if line and line[0])
    if not ids and not has_heading:  # a heading alone says that nothing has to be left out
        raise UserError(f"The exclude list {path} holds no id; expected one at the beginning of each line.")
    return ids


def _cells(line: str) -> list[str]:
    """A line as csv writes it, or where it is none, as it stands: an id can begin with a quotation mark."""
    try:
        return next(csv.reader([line], delimiter="\t", strict=True), [])
    except csv.Error:
        return line.split("\t")


def write_exclude_list(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Writes (id, reason) of each row, each on one line."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        one_line = ((name, " ".join(reason.split())) for name, reason in rows)
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows([HEADING, *one_line])


def told_unknown(path: str, unknown: list[str]) -> str:
    """A line on ids that no row of the corpus has."""
    more = f" and {len(unknown) - MOST_TOLD} more" if len(unknown) > MOST_TOLD else ""
    named = ", ".join(map(shown, unknown[:MOST_TOLD]))
    return (
        f"{len(unknown)} of the ids in {path} are in no row of the corpus: {named}{more}. Is "
        "the list that of another corpus, or was the corpus changed since?"
    )
