"""What the check tells, as text; `page` shows the same."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from data_pipeline.errors import shown
from data_pipeline.languages import LANGUAGES, language_code
from data_pipeline.reading.exclude_list import told_unknown
from evaluation.data_check.findings import KINDS, Finding, named
from evaluation.data_check.rows import Row
from evaluation.data_check.survey import Survey
from training.config.resolve import aligned

BARS = " ▁▂▃▄▅▆▇█"
BINS = 30
EDGES = (0.5, 99.5)  # percentiles at which a histogram ends; what lies beyond is in its outermost bars
# Of speech, for a voice that starts from nothing; 18 minutes of prompts were enough for it (benchmarks/LOG.md).
LEAST_HOURS = 0.25
EXAMPLES = 3  # findings of a kind that the text shows
MOST_GROUPS = 30  # languages and speakers that the text lists, those with the most speech first
MOST_CHARACTERS = 12
LONGEST_NAME = 60  # of a speaker or language: a wrong column can hold anything


@dataclass
class Report:
    """What was found, with what a reader needs to know of how.

    found: kind -> findings. dropped: (id, reason) of the list. unlisted: findings that a list of ids cannot tell.
    unknown: ids of the exclude list that were not met, where all was read. model: that scored the alignment, if any.
    """

    corpus: str
    seed: int
    survey: Survey
    found: dict[str, list[Finding]]
    dropped: list[tuple[str, str]]
    unlisted: list[Finding]
    unknown: list[str]
    exclude_list: str | None
    model_rate_hz: int
    model: str | None = None


def of_wave(read: Callable[[Row], float | None]) -> Callable[[Row], float | None]:
    return lambda row: read(row) if row.wave else None


# Measure -> its value for a row, None where there is none.
MEASURES: dict[str, Callable[[Row], float | None]] = {
    "length, s": lambda row: row.seconds,
    "characters per second of speech": of_wave(lambda row: row.characters / row.wave.speech_s),
    "level, dB re full scale": of_wave(lambda row: row.wave.level_db),
    "signal to noise, dB": of_wave(lambda row: row.wave.snr_db),
    "share of silence, %": of_wave(lambda row: 100 * row.wave.silence_share),
    "median pitch, Hz": of_wave(lambda row: row.wave.pitch_hz),
    "alignment loss, nats per step": lambda row: row.score,
}


def values(rows: Iterable[Row], measure: str) -> np.ndarray:
    return np.array([value for value in map(MEASURES[measure], rows) if value is not None])


def histogram(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(counts [BINS], edges [BINS + 1])"""
    low, high = np.percentile(numbers, EDGES)
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    return np.histogram(np.clip(numbers, low, high), BINS, (low, high))


def how_read(report: Report) -> str:
    """Which rows were read, which of them were decoded, and how long it took."""
    survey = report.survey
    rows = f"{len(survey.rows)} rows read"
    if not survey.whole:
        rows += f": the first of the corpus' files, in an order drawn with seed {report.seed}; the rest was not read"
    decoded = f"{survey.decoded} recordings decoded"
    if survey.sampled:
        decoded += f", a sample drawn with seed {report.seed} (data.check_rows)"
    rate = len(survey.rows) / max(survey.seconds, 1e-3)
    return f"{rows}. {decoded}. {survey.seconds:.1f} s, {rate:.0f} rows a second."


def not_measured(report: Report) -> list[str]:
    told = []
    if not report.survey.has_pitch:
        told.append('Pitch was not measured, for want of librosa: pip install -e ".[eval]"')
    if report.model is None:
        told.append("Alignment was not scored, as there is no model: give --init-from with a run folder.")
    return told


def groups(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """(name, rows): all, then each language, then each speaker, those with the most speech first."""
    by_language, by_speaker = defaultdict(list), defaultdict(list)
    for row in rows:
        by_language[row.language].append(row)
        by_speaker[row.speaker].append(row)
    found = [("all", rows)]
    for by, label in ((by_language, _language), (by_speaker, _speaker)):
        for name, group in sorted(by.items(), key=lambda item: -hours(item[1])):
            found.append((label(name), group))
    return found


def _language(name: str | None) -> str:
    if name is None:
        return "language: not said (--language)"
    code = language_code(name)
    return f"language: {shown(name, LONGEST_NAME)}" + (f" ({LANGUAGES[code]})" if code else "")


def _speaker(name: str | None) -> str:
    return "speaker: not said" if name is None else f"speaker: {shown(name, LONGEST_NAME)}"


def hours(rows: Iterable[Row]) -> float:
    return sum(row.seconds for row in rows) / 3600


def summary_cells(rows: list[Row]) -> list[str]:
    """What a row of the table of groups says; see HEADING."""
    cells = [str(len(rows)), f"{hours(rows):.2f}"]
    shown = ("length, s", "characters per second of speech", "level, dB re full scale", "median pitch, Hz")
    for measure, places in zip(shown, (1, 1, 0, 0), strict=True):
        numbers = values(rows, measure)
        cells.append(f"{np.median(numbers):.{places}f}" if len(numbers) else "-")
    return cells


HEADING = ["", "rows", "hours", "length s", "chars/s", "level dB", "pitch Hz"]


def notes(report: Report) -> list[str]:
    """What is to be known of the corpus as a whole."""
    used, told = report.survey.used(), []
    rates = Counter(row.rate_hz for row in used)
    if len(rates) > 1:
        told.append("Sampling rates: " + ", ".join(f"{rate} Hz in {n} rows" for rate, n in rates.most_common()) + ".")
    lower = sum(n for rate, n in rates.items() if rate < report.model_rate_hz)
    if lower:
        told.append(f"{lower} rows have a lower rate than the model's {report.model_rate_hz} Hz, and sound duller.")
    characters = Counter(character for row in used for character in set(row.in_bytes))
    if characters:
        listed = ", ".join(f"{named(one)} in {n} rows" for one, n in characters.most_common(MOST_CHARACTERS))
        more = f" and {len(characters) - MOST_CHARACTERS} others" if len(characters) > MOST_CHARACTERS else ""
        told.append(f"Characters that the vocabulary has not: {listed}{more}.")
    left_out = Counter(row.left_out for row in report.survey.rows if row.left_out and not row.broken)
    told += [f"{count} rows are left out of training: {reason}." for reason, count in left_out.items()]
    told += filter(None, [too_little(used, report.survey.whole, report.model)])
    if report.survey.excluded:
        told.append(f"{len(report.survey.excluded)} ids are on the exclude list and were not looked at.")
    if report.unknown:
        told.append(told_unknown(report.exclude_list, report.unknown))
    shared = {one.row.id for one in report.unlisted if one.row.id is not None}
    if shared:
        told.append(
            f"{len(shared)} ids belong to a wrong row and to a good one, so that a list of ids cannot leave out the "
            f"one alone: {', '.join(sorted(shared)[:EXAMPLES])}. Remove those rows from the table."
        )
    return told


def too_little(rows: list[Row], is_whole: bool, model: str | None) -> str | None:
    """A word on a corpus that is too small for a voice, where it was read to its end."""
    if not is_whole or model is not None or hours(rows) >= LEAST_HOURS:
        return None
    return (
        f"{60 * hours(rows):.1f} minutes of speech are too little for a voice that starts from nothing: a quarter of "
        "an hour is the least that was understood, and hours are better. From a trained voice (--init-from) minutes do."
    )


def as_text(report: Report) -> str:
    used = report.survey.used()
    lines = [f"Check of {report.corpus}", how_read(report), ""]
    shown = groups(used)
    lines += aligned([HEADING, *([name, *summary_cells(rows)] for name, rows in shown[:MOST_GROUPS])])
    if len(shown) > MOST_GROUPS:
        lines.append(f"({len(shown) - MOST_GROUPS} more on the page)")
    lines += ["", *histogram_lines(used), "", *finding_lines(report)]
    return "\n".join([*lines, "", *notes(report), *not_measured(report)])


def histogram_lines(rows: list[Row]) -> list[str]:
    table = []
    for measure in MEASURES:
        numbers = values(rows, measure)
        if len(numbers):
            counts, edges = histogram(numbers)
            heights = np.ceil(counts / counts.max() * (len(BARS) - 1)).astype(int)
            ends = [f"{edges[0]:.3g}", "".join(BARS[height] for height in heights), f"{edges[-1]:.3g}"]
            table.append([measure, *ends, f"median {np.median(numbers):.3g}"])
    return aligned(table)


def finding_lines(report: Report) -> list[str]:
    """A table of the kinds, and the worst of each."""
    if not report.found:
        return ["Nothing looks wrong."]
    table, examples = [["what looks wrong", "rows", "on the list", "remedy"]], []
    for kind, group in report.found.items():
        about = KINDS[kind]
        table.append([about.title, str(len(group)), "yes" if about.drop else "no", about.remedy])
        lines = dict.fromkeys(f"  {told(one)}" for one in group)  # what is true of many rows is told once
        examples += [f"{about.title}:", *list(lines)[:EXAMPLES]]
    return [*aligned(table), "", *examples]


def told(one: Finding) -> str:
    """A finding on a line; the messages on broken rows name their row themselves."""
    return shown(one.detail, 1000) if one.row.broken else f"{one.row.id}: {one.detail} ({one.row.text[:80]!r})"
