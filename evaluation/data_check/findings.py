"""What looks wrong: kinds of findings, and the rules that find them.

A rule looks at one row or compares a row with the rest of its corpus, robustly (medians), so that what is wrong does
not hide itself. The thresholds were chosen on the demo corpus and on what was spoilt of it (benchmarks/LOG.md).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from evaluation.data_check.rows import Row
from evaluation.data_check.survey import Survey

NEAR_PEAK_SHARE = 3e-3  # clean speech has 7e-4 at most; amplified twice beyond full scale it has 5e-3 at least
LEAST_SNR_DB = 12.0  # clean speech: 15.6 at least, the shortest words included
CUT_DB = -12.0  # of the last 20 ms re the level of the clip; clean speech: -23 at most
CUT_TIGHTLY_SHARE = 0.25  # of the clips that end like that: then the corpus was cut so, and no clip stands out
MOSTLY_SILENCE = 0.6
LEVEL_DB = 12.0  # away from the corpus' median, at least
SPREADS = 5.0  # robust standard deviations away from the rest, at least
RATE_FACTOR = 2.0  # times as fast or slow as the rest, at least
SCORE_NATS = 0.5  # per decoder step, above the median, at least
SHORTEST_S = 1e-3  # for the logarithm
FEWEST_ROWS = 30  # fewer have no range of their own
MAD = 1.4826  # median absolute deviation to standard deviation, for a normal distribution
LINE_POINTS = 400  # whose slopes are compared in pairs


@dataclass(frozen=True)
class Kind:
    """drop: such rows go onto the list of rows to leave out. remedy: what a user can do."""

    title: str
    drop: bool
    remedy: str


KINDS = {
    "unreadable": Kind("cannot be read", True, "Training skips them. Correct the path, or convert the file."),
    "cut_off": Kind("cut-off file", True, "Training skips them. Copy the file again."),
    "silent": Kind("silent", True, "Training skips them. Record them again or leave them out."),
    "no_words": Kind("no words in the text", True, "Training skips them. Write what is said."),
    "too_long": Kind("text too long for its audio", True, "Training skips them. It belongs to another recording."),
    "left_out": Kind("left out of training", False, "Cut long recordings at the pauses; the limits are settings."),
    "rate": Kind("text does not fit the audio", True, "Listen: text and recording may belong to other rows."),
    "score": Kind("text is not what the aligner hears", True, "Listen: the text may say something else."),
    "same_words": Kind("recording and text are there before", True, "One of each is enough."),
    "other_words": Kind("recording is there with another text", True, "One text at most is right; listen."),
    "clipped": Kind("clipped", True, "Record with less gain, or leave them out."),
    "noisy": Kind("noisy", True, "Leave them out, or take the noise away."),
    "cut": Kind("begins or ends within speech", True, "Cut them at the pauses."),
    "silence": Kind("mostly silence", False, "Silence at the ends is trimmed in training, pauses are not."),
    "level": Kind("much louder or quieter than the rest", False, "Training brings all to one level. Is it speech?"),
    "in_bytes": Kind("characters that the vocabulary has not", False, "They are read as bytes. Are they meant?"),
    "rumble": Kind("offset or rumble", False, "Training takes out what lies below the voice. Check the microphone."),
    "opposite": Kind("channels of opposite phase", False, "Training takes one of them. Check how they were joined."),
    "other_rate": Kind("sampling rate is not that of most", False, "They are resampled; lower rates sound duller."),
}


@dataclass(frozen=True, slots=True)
class Finding:
    kind: str
    row: Row
    detail: str
    size: float = 0.0  # how far out it is, to show the worst first


RULES: list[Callable[[Survey], Iterator[Finding]]] = []


def rule(function):
    RULES.append(function)
    return function


def findings(survey: Survey) -> dict[str, list[Finding]]:
    """Kind -> its findings, the worst first; kinds in the order of KINDS."""
    found = defaultdict(list)
    for look in RULES:
        for one in look(survey):
            found[one.kind].append(one)
    return {kind: sorted(found[kind], key=lambda one: -one.size) for kind in KINDS if found[kind]}


@rule
def broken(survey: Survey) -> Iterator[Finding]:
    for row in survey.rows:
        if row.broken:
            yield Finding(row.broken[0], row, row.broken[1])


@rule
def left_out(survey: Survey) -> Iterator[Finding]:
    for row in survey.rows:
        if row.left_out and not row.broken:
            yield Finding("left_out", row, row.left_out)


@rule
def repeated(survey: Survey) -> Iterator[Finding]:
    """The first of equal rows stays; of one recording with several texts none can be trusted."""
    groups = defaultdict(list)
    for row in survey.used():
        groups[row.audio_key].append(row)
    for rows in groups.values():
        if len({row.words_key for row in rows}) > 1:
            for row in rows:
                other = next(one for one in rows if one.words_key != row.words_key)
                yield Finding("other_words", row, f"the recording is also that of {other.id}: {other.text!r}")
        else:
            yield from (Finding("same_words", row, f"the same as {rows[0].id}") for row in rows[1:])


@rule
def unknown_characters(survey: Survey) -> Iterator[Finding]:
    for row in survey.used():
        if row.in_bytes:
            yield Finding("in_bytes", row, " ".join(map(named, sorted(set(row.in_bytes)))), len(row.in_bytes))


@rule
def mixed_rates(survey: Survey) -> Iterator[Finding]:
    rates = Counter(row.rate_hz for row in survey.used())
    for usual, _ in rates.most_common(1):
        for row in survey.used():
            if row.rate_hz != usual:
                yield Finding("other_rate", row, f"{row.rate_hz} Hz; most have {usual} Hz", abs(row.rate_hz - usual))


@rule
def texts_that_do_not_fit(survey: Survey) -> Iterator[Finding]:
    """By the seconds of speech where they are known, else by the header's, which count silence at the ends too."""
    decoded = [row for row in survey.used() if row.wave]
    others = [row for row in survey.used() if not row.wave]
    yield from _misfits(decoded, lambda row: row.wave.speech_s)
    yield from _misfits(others, lambda row: row.seconds)


def _misfits(rows: list[Row], seconds_of: Callable[[Row], float]) -> Iterator[Finding]:
    for group in by_language(rows):
        seconds = np.maximum([seconds_of(row) for row in group], SHORTEST_S)
        ratios = np.log(seconds / expected_seconds(np.array([row.characters for row in group]), seconds))
        limit = max(np.log(RATE_FACTOR), SPREADS * spread(ratios))
        for row, ratio, found_s in zip(group, ratios, seconds, strict=True):
            if abs(ratio) > limit:
                how = f"{np.exp(abs(ratio)):.1f} times as {'slow' if ratio > 0 else 'fast'} as the rest"
                rate = f"{row.characters} characters in {found_s:.1f} s"
                yield Finding("rate", row, f"{rate}, {how}", abs(ratio))


def by_language(rows: list[Row]) -> list[list[Row]]:
    """Rows of each language that has FEWEST_ROWS, then all others together if they are as many."""
    groups = defaultdict(list)
    for row in rows:
        groups[row.language].append(row)
    rest = [row for group in groups.values() if len(group) < FEWEST_ROWS for row in group]
    return [group for group in (*groups.values(), rest) if len(group) >= FEWEST_ROWS]


def expected_seconds(characters: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """A line through the rest: pauses and last syllables make short texts slow. Its slope is the median slope of pairs.

    Theil-Sen (Sen 1968), which a quarter of wrong rows does not move, on LINE_POINTS rows evenly taken.
    """
    taken = np.unique(np.linspace(0, len(seconds) - 1, LINE_POINTS).astype(int))
    x, y = characters[taken], seconds[taken]
    first, second = np.triu_indices(len(x), 1)
    differs = x[first] != x[second]
    rises = (y[second] - y[first])[differs] / (x[second] - x[first])[differs]
    slope = float(np.median(rises)) if len(rises) else 0.0
    return np.maximum(0.1, np.median(y - slope * x) + slope * characters)


def spread(values: np.ndarray) -> float:
    """The standard deviation by the median absolute deviation, which outliers do not move."""
    return MAD * float(np.median(np.abs(values - np.median(values))))


@rule
def spoilt_recordings(survey: Survey) -> Iterator[Finding]:
    for row in survey.used():
        wave = row.wave
        if wave and wave.near_peak_share > NEAR_PEAK_SHARE:
            detail = f"{wave.near_peak_share:.1%} of the samples lie at the peak"
            yield Finding("clipped", row, detail, wave.near_peak_share)
        if wave and wave.snr_db < LEAST_SNR_DB:
            yield Finding("noisy", row, f"speech is {wave.snr_db:.0f} dB above the noise", -wave.snr_db)
        if wave and wave.silence_share > MOSTLY_SILENCE:
            yield Finding("silence", row, f"{wave.silence_share:.0%} is silence", wave.silence_share)
        if wave and wave.rumble_share > 0:
            detail = f"{wave.rumble_share:.0%} of the power lies below the voice"
            yield Finding("rumble", row, detail, wave.rumble_share)
        if wave and wave.is_opposite:
            yield Finding("opposite", row, "averaged, the channels cancel each other")


@rule
def cut_ends(survey: Survey) -> Iterator[Finding]:
    # What is clipped or noisy is loud to its very ends.
    rows = [row for row in survey.used() if row.wave and row.wave.snr_db >= LEAST_SNR_DB]
    for end, read in (("begins", lambda wave: wave.start_db), ("ends", lambda wave: wave.end_db)):
        cut = [row for row in rows if read(row.wave) > CUT_DB]
        if len(cut) <= CUT_TIGHTLY_SHARE * len(rows):
            for row in cut:
                level = read(row.wave)
                yield Finding("cut", row, f"{end} at {level:+.0f} dB re its own level: within a sound", level)


@rule
def levels(survey: Survey) -> Iterator[Finding]:
    rows = [row for row in survey.used() if row.wave]
    if len(rows) < FEWEST_ROWS:
        return
    values = np.array([row.wave.level_db for row in rows])
    middle = float(np.median(values))
    limit = max(LEVEL_DB, SPREADS * spread(values))
    for row, value in zip(rows, values, strict=True):
        if abs(value - middle) > limit:
            yield Finding("level", row, f"{value:.0f} dB; the median is {middle:.0f} dB", abs(value - middle))


@rule
def unaligned(survey: Survey) -> Iterator[Finding]:
    rows = [row for row in survey.used() if row.score is not None]
    if len(rows) < FEWEST_ROWS:
        return
    scores = np.array([row.score for row in rows])
    middle = float(np.median(scores))
    limit = middle + max(SCORE_NATS, SPREADS * spread(scores))
    for row, score in zip(rows, scores, strict=True):
        if score > limit:
            yield Finding("score", row, f"{score:.2f} nats per step; the median is {middle:.2f}", score)


def to_drop(found: dict[str, list[Finding]], survey: Survey) -> tuple[list[tuple[str, str]], list[Finding]]:
    """(id, reason) of the rows to leave out, and those that cannot be: they have no id, or that of a row that is good.

    A list of ids cannot tell rows of one id apart.
    """
    wrong = [one for kind, group in found.items() if KINDS[kind].drop for one in group]
    is_wrong = {(one.row.split, one.row.index) for one in wrong}
    good = {row.id for row in survey.rows if (row.split, row.index) not in is_wrong}
    chosen: dict[str, str] = {}
    unlisted = []
    for one in wrong:
        if one.row.id is None or one.row.id in good:
            unlisted.append(one)
        else:
            chosen.setdefault(one.row.id, f"{KINDS[one.kind].title}: {one.detail}")
    return list(chosen.items()), unlisted


def named(character: str) -> str:
    """A character as a reader can tell it: with its code point, as many look like others or like nothing."""
    return f"{character} (U+{ord(character):04X})" if character.isprintable() else f"U+{ord(character):04X}"
