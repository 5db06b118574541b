"""Reading a corpus for the check: every row undecoded, then a sample of them decoded.

The order of a source is always the same, so that a row is known by its place and the corpus is read again for what is
to be decoded or heard; it never is in memory. A streamed corpus of the Hub would be downloaded in whole: of that, only
as many rows are read as are decoded, of its files in an order drawn by the seed.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow
from tqdm import tqdm

from data_pipeline.batching.features import FeatureMaker
from data_pipeline.errors import UserError
from data_pipeline.reading.splits import TRAIN, VALIDATION
from data_pipeline.recordings.audio import CutOffAudio, SilentAudio, read_samples
from data_pipeline.text.tokens import Vocabulary
from data_pipeline.utterance import Utterance
from evaluation.data_check.rows import Row, first_look
from evaluation.data_check.waves import can_measure_pitch, measured
from training.setup.inputs import Inputs

# Kinds of broken recordings that have a name of their own.
BROKEN_KINDS = {CutOffAudio: "cut_off", SilentAudio: "silent"}


@dataclass
class Survey:
    """What was read.

    decoded: how many recordings; sampled: fewer than there are; whole: every row was read. excluded: ids of the exclude
    list that were met. seconds: it took.
    """

    rows: list[Row] = field(default_factory=list)
    excluded: set[str] = field(default_factory=set)
    whole: bool = True
    decoded: int = 0
    sampled: bool = False
    has_pitch: bool = False
    seconds: float = 0.0

    def used(self) -> list[Row]:
        return [row for row in self.rows if row.is_used]


class Surveyor:
    """Reads what training would read.

    Args:
        inputs: the sources, what is left out of them, and how a row is read.
        rows: recordings that are decoded, at most.
        seed: of the sample.
        quick: take streamed files as they come, and look no phonemes up; both take seconds.
    """

    def __init__(self, inputs: Inputs, rows: int, seed: int, quick: bool = False):
        self.inputs, self.most, self.seed, self.quick = inputs, rows, seed, quick
        self.loaders = {TRAIN: inputs.train, VALIDATION: inputs.validation}
        plan, other = inputs.train.plan, inputs.validation.plan
        self.sources = {TRAIN: plan.source}
        if other.source is not plan.source:
            self.sources[VALIDATION] = other.source
        self.make: FeatureMaker = inputs.train.collator.make
        self.limits, self.exclude = plan.limits, plan.exclude
        is_slow = quick and self.make.vocabulary.units != "characters"
        self.letters = Vocabulary(self.make.vocabulary.tokens) if is_slow else None
        self.is_streamed = any(source.kind == "hub" for source in self.sources.values())

    def look(self, survey: Survey, deadline: float = float("inf")) -> None:
        """Look at the rows undecoded, until the corpus ends or the clock (time.monotonic) says `deadline`.

        Streamed rows are decoded on the way, as another reading would download them again.
        """
        for split, index, raw in self._raw(f"Reading {self.inputs.train.plan.source.reader.where}"):
            if time.monotonic() > deadline:
                survey.whole = False
                return
            row = Row(split, index)
            utterance = first_look(raw, row, self.sources[split], self.make, self.limits, self.letters)
            if row.id is not None and row.id in self.exclude:
                survey.excluded.add(row.id)
                continue
            survey.rows.append(row)
            if self.is_streamed and utterance is not None and row.is_used:
                self._decode(utterance, row, survey)
        survey.whole = not self.is_streamed

    def decode_sample(self, survey: Survey, deadline: float = float("inf")) -> None:
        """Decode as many as were asked for of those that training would use, drawn by the seed."""
        candidates = survey.used()
        if len(candidates) > self.most:
            drawn = np.random.default_rng(self.seed).choice(len(candidates), self.most, replace=False)
            candidates = [candidates[place] for place in sorted(drawn)]
            survey.sampled = True
        for row, utterance in self.again(candidates, "Decoding"):
            if time.monotonic() > deadline:
                survey.sampled = True
                return
            self._decode(utterance, row, survey)

    def again(self, rows: list[Row], doing: str) -> Iterator[tuple[Row, Utterance]]:
        """Some of the rows with their recordings, from another reading of the corpus, up to the last of them."""
        wanted = {(row.split, row.index): row for row in rows}
        left = len(wanted)
        if not left:
            return
        for split, index, raw in self._raw(doing):
            row = wanted.get((split, index))
            if row is None:
                continue
            yield row, self.sources[split].to_utterance(raw)
            left -= 1
            if not left:
                return

    def _decode(self, utterance: Utterance, row: Row, survey: Survey) -> None:
        with self.loaders[row.split].watchdog.waiting(lambda: f"{survey.decoded} recordings decoded"):
            try:
                row.wave = measured(read_samples(utterance.audio, name=utterance.id), survey.has_pitch)
                self.make.check_fits(utterance, row.tokens, row.wave.speech_s)
            except UserError as error:
                row.broken = (BROKEN_KINDS.get(type(error), "too_long" if row.wave else "unreadable"), str(error))
        survey.decoded += 1

    def _raw(self, doing: str) -> Iterator[tuple[str, int, dict]]:
        """(split, place, row) of every row; a wait for one ends as it does in training."""
        count = 0
        with tqdm(desc=doing, unit=" rows", disable=None, leave=False) as bar:
            for split, source in self.sources.items():
                iterator = iter(self._stream(source))
                for index in itertools.count():
                    with self.loaders[split].watchdog.waiting(lambda count=count: f"{count} rows read"):
                        raw = _next(iterator, count)
                    if raw is None:
                        break
                    yield split, index, raw
                    count += 1
                    bar.update()

    def _stream(self, source):
        rows = source.rows()
        if source.kind != "hub" or self.quick:
            return rows
        # A buffer of one row leaves the rows of a file as they are: only the order of the files is drawn.
        return itertools.islice(rows.shuffle(seed=self.seed, buffer_size=1, max_buffer_input_shards=1), self.most)


def _next(iterator: Iterator[dict], count: int) -> dict | None:
    try:
        return next(iterator, None)
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(
            f"The corpus cannot be read on, after {count} rows ({error}). See whether its disk or network answers and "
            "its files are whole, then give the same command."
        ) from error


def whole_survey(surveyor: Surveyor) -> Survey:
    """Every row that there is (of a streamed corpus, a part), and a sample of them decoded."""
    survey = Survey(has_pitch=can_measure_pitch())
    started = time.monotonic()
    surveyor.look(survey)
    if not surveyor.is_streamed:
        surveyor.decode_sample(survey)
    survey.seconds = time.monotonic() - started
    return survey
