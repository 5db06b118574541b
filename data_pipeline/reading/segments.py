"""Rows that are parts of a longer recording: columns that say where they begin and how long they last.

    audio,start,end,text        audio_filepath,offset,duration,text (NeMo)        path,start_sample,num_samples,text

What unit the times have is told by the name of their column (start_s, start_ms, start_frame), by a point or a colon in
them, or by what fits: they lie inside the recording, and the text can be spoken in that time.
"""

import math
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from data_pipeline.errors import UserError, shown
from data_pipeline.utterance import Segment

UNIT = r"(?:_?(?P<unit>s|secs?|seconds?|ms|msecs?|millis|milliseconds?|samples?|frames?))?"
TIME = r"_?(?:time|timestamp|offset|pos|position)?"
START = re.compile(rf"(?:segment_|utt_|clip_|t_|frame_|sample_)?(?:start|begin|offset|onset){TIME}{UNIT}")
END = re.compile(rf"(?:segment_|utt_|clip_|t_|frame_|sample_)?(?:end|stop|finish){TIME}{UNIT}")
DURATION = re.compile(rf"(?:segment_|utt_|clip_|num_|n_)?(?:duration|dur|length)?{UNIT}")
UNITS = {"s": "s", "m": "ms", "f": "samples"}  # by the first letter, but for samples
SCALE = {"s": 1.0, "ms": 1e-3}
LETTERS_PER_S = (1.0, 40.0)  # of speech, pauses and all
FITTING_SHARE = 0.9  # of the first rows


class TimeColumns(NamedTuple):
    """Columns of a row: where it begins, where it ends or how long it lasts; unit None: their names do not say."""

    start: str
    end: str | None
    duration: str | None
    unit: str | None


@lru_cache(maxsize=1024)
def time_columns(found: tuple[str, ...]) -> TimeColumns | None:
    """None where the columns do not say both: a duration alone is that of the recording, as most tables have it."""
    matches = {
        role: [(name, match) for name in found if (match := pattern.fullmatch(_plain(name)))]
        for role, pattern in (("start", START), ("end", END), ("duration", DURATION))
    }
    if not matches["start"] or not (matches["end"] or matches["duration"]):
        return None
    chosen = {role: pairs[0][0] for role, pairs in matches.items() if pairs}
    end = chosen.get("end")
    used = [matches["start"][0], matches["end"][0] if end else matches["duration"][0]]
    units = {unit for name, match in used if (unit := _unit(_plain(name), match["unit"]))}
    if len(units) > 1:
        raise UserError(f"The columns {used[0][0]} and {used[1][0]} have different units; expected one for both.")
    return TimeColumns(chosen["start"], end, None if end else chosen["duration"], next(iter(units), None))


def segment_of(audio, row: dict, unit: str | None, label: str) -> Segment | None:
    """The part of the recording that a row means; None for a row without times, which means all of it.

    unit: of times whose columns do not say. Raises UserError for times that are no numbers or do not follow each other.
    """
    columns = time_columns(tuple(row))
    if columns is None:
        return None
    start, end = times_of(row, columns, label)
    if start is None and end is None:
        return None
    unit = columns.unit or unit or "s"
    start = start or 0.0
    if start < 0 or (end is not None and end <= start):
        raise UserError(f"{label} begins at {start:g} and ends at {end:g}; expected an end behind its beginning.")
    if unit == "samples":
        return Segment(audio, start, end, in_samples=True)
    scale = SCALE[unit]
    return Segment(audio, start * scale, None if end is None else end * scale)


def times_of(row: dict, columns: TimeColumns, label: str) -> tuple[float | None, float | None]:
    """(beginning, end) as the row has them. Raises UserError for what is no time."""
    start = _number(row.get(columns.start), label)
    if columns.end is not None:
        return start, _number(row.get(columns.end), label)
    length = _number(row.get(columns.duration), label)
    if start is None:  # the duration is that of all of the recording
        return None, None
    return start, None if length is None else start + length


def unit_of(rows: Iterable[tuple[dict, str, float, int]], where: str) -> str | None:
    """The unit of times whose columns do not say: "s", "ms" or "samples"; None where there are no such times.

    rows: (row, text, seconds of its recording, rate in Hz). Raises UserError where several units fit.
    """
    times: list[tuple[float, float, str, float, int]] = []
    for row, text, seconds, rate_hz in rows:
        columns = time_columns(tuple(row))
        if columns is None or columns.unit is not None:
            return None
        start, end = times_of(row, columns, where)
        if start is None or end is None:
            continue
        if not (start.is_integer() and end.is_integer()):
            return "s"  # a point or a colon
        times.append((start, end, text, seconds, rate_hz))
    if not times:
        return None
    fitting = [unit for unit in ("s", "ms", "samples") if _fits(times, unit)]
    if len(fitting) > 1:
        raise UserError(
            f"The times of the rows of {where}, such as {times[0][0]:g} to {times[0][1]:g}, can be in "
            f"{' or '.join(fitting)}. Say so in the names of their columns, as in start_{' or start_'.join(fitting)}."
        )
    return fitting[0] if fitting else None


def _fits(times: list[tuple[float, float, str, float, int]], unit: str) -> bool:
    is_inside, letters_per_s = [], []
    for start, end, text, seconds, rate_hz in times:
        scale = 1 / rate_hz if unit == "samples" else SCALE[unit]
        length_s = (end - start) * scale
        is_inside.append(end * scale <= seconds + 0.1 or abs(length_s - seconds) < 0.02)
        letters_per_s.append(sum(map(str.isalnum, text)) / max(length_s, 1e-3))
    low, high = LETTERS_PER_S
    return np.mean(is_inside) >= FITTING_SHARE and low <= np.median(letters_per_s) <= high


def _number(value, label: str) -> float | None:
    """Seconds for what has colons (1:02:03.5), else the number; None for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).strip().replace(",", ".")
    if not text:
        return None
    try:
        number = 0.0
        for part in text.split(":"):
            number = number * 60 + float(part)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(
            f"{label} has {shown(value, 40)!r} for a time; expected a number, or hours, minutes and seconds with "
            "colons."
        )
    return number


def _unit(column: str, suffix: str | None) -> str | None:
    if column.startswith("frame_") or column.startswith("sample_"):
        return "samples"
    if suffix is None:
        return None
    return "samples" if suffix.startswith("sample") else UNITS[suffix[0]]


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")
