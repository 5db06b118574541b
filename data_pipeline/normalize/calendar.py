"""The ways in which dates and times are written in figures, to be read in a language's own words."""

import re
from collections.abc import Callable

from data_pipeline.normalize.rules import Reader

# (day, month from 1, year or None) -> words
DateReader = Callable[[int, int, int | None], str]
# (hour, minute) -> words
TimeReader = Callable[[int, int], str]

TIME = r"(?<![\w.,:-])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?![\w:]|[.,]\d)"
YEAR_LAST = (
    r"(?<![\w.,:/-])(?P<first>\d{{1,2}})(?P<mark>[{marks}])(?P<second>\d{{1,2}})(?P=mark)(?P<year>\d{{4}})(?![\w/-])"
)
YEAR_FIRST = r"(?<![\w.,:/-])(?P<year>\d{4})(?P<mark>[-/])(?P<first>\d{1,2})(?P=mark)(?P<second>\d{1,2})(?![\w:/-])"


def numeric_dates(read: DateReader, marks: str = "/.-", month_first: bool = False) -> tuple[tuple[str, Reader], ...]:
    """15/3/2024 and 2024-03-15; what is no day of a month stays. month_first: 3/15/2024, unless that is no month."""

    def year_first(match: re.Match) -> str:
        return _if_date(match, int(match["second"]), int(match["first"]), read)

    def year_last(match: re.Match) -> str:
        first, second = int(match["first"]), int(match["second"])
        month, day = (first, second) if month_first and first <= 12 or second > 12 else (second, first)
        return _if_date(match, day, month, read)

    return ((YEAR_FIRST, year_first), (YEAR_LAST.format(marks=re.escape(marks)), year_last))


def _if_date(match: re.Match, day: int, month: int, read: DateReader) -> str:
    return read(day, month, int(match["year"])) if 1 <= day <= 31 and 1 <= month <= 12 else match[0]


def times(read: TimeReader, after: str = "", pattern: str = TIME) -> tuple[str, Reader]:
    """12:30, and what may follow it without being said, as a pattern. A pattern's own minutes may be missing."""

    def reader(match: re.Match) -> str:
        return read(int(match["hour"]), int(match["minute"] or 0))

    return (pattern + (f"(?:{after})?" if after else ""), reader)


def any_month(names: str) -> str:
    """A pattern of month names, parted by spaces, in any case."""
    return rf"(?P<month>(?i:{'|'.join(sorted(names.split(), key=len, reverse=True))}))"
