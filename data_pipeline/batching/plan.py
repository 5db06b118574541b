"""Which utterances make which batch: one global plan that every rank computes alike and takes its share of.

    rows -> shuffle -> filter -> pool -> sort by length -> cut -> shuffle in groups -> share of this rank

The order is a pure function of (seed, epoch, position) and is decided on undecoded rows: lengths come from the
headers of the recordings. A pool's batches depend on nothing before it, so the whole state is a `Cursor`. That means
something under the settings and the corpus it was made with only: where they are others, or the corpus turns out to be,
the epoch is planned anew, and the rows that were taken (data_pipeline.batching.taken) are passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import pyarrow

from data_pipeline.batching.balance import SpeakerBalance
from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.features import Features
from data_pipeline.batching.length_bucketing import cut
from data_pipeline.batching.row_stats import ANOTHER_TIME, RowStats, RowStatsByEpoch
from data_pipeline.batching.taken import RowsTaken, row_name
from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import AudioConfig, UnreadKind, duration_s
from data_pipeline.recordings.speaker_augmentation import AS_RECORDED, augmented
from data_pipeline.utterance import Samples, Utterance, size_of

SHUFFLE_BYTES = 256 * 2**20  # undecoded audio that the shuffle buffer may hold
POOL_BYTES = 256 * 2**20  # the same of a pool
LENGTHS_KEPT = 100_000  # of recordings, for later epochs: about 10 MB


class Source(Protocol):
    """What the plan needs of `data_pipeline.reading.sources.Source`."""

    def rows(self): ...

    def to_utterance(self, row: dict) -> Utterance: ...


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """One rank's share of one micro-step. Empty where the epoch's last step has no batch left for this rank."""

    entries: tuple[Utterance | Features, ...]
    after: Cursor  # where to go on once this micro-step of all ranks is done
    ends_step: bool  # the last micro-batch of an optimizer step
    ends_epoch: bool
    seed: tuple[int, ...]  # for what is drawn for it: reference clips, dropout, voices
    taken: tuple[int, ...] = ()  # data_pipeline.batching.taken.row_name of all ranks' rows of this micro-step


@dataclass(frozen=True)
class Limits:
    """What is left out, and how large a batch may get."""

    batch_size: int
    max_batch_frames: int
    min_duration_s: float = 0.3
    max_duration_s: float = 20.0
    max_text_chars: int = 400
    pool_batches: int = 64

    def refusal(self, utterance: Utterance, seconds: float, frames: int) -> str | None:
        """Why an utterance is left out, or None where it is not."""
        if seconds < self.min_duration_s:
            return f"shorter than {self.min_duration_s:g} s"
        if seconds > self.max_duration_s:
            return f"longer than {self.max_duration_s:g} s"
        if frames > self.max_batch_frames:
            return f"longer than a batch of {self.max_batch_frames} frames"
        if len(utterance.text) > self.max_text_chars:
            return f"text longer than {self.max_text_chars} characters"
        return None


def most_frames(seconds: float, audio: AudioConfig) -> int:
    """Mel frames of a recording, at most: silence is trimmed once it is decoded."""
    return int(seconds * audio.frames_per_s) + 1


class Plan:
    """Iterates over this rank's batches of one epoch, from a cursor on.

    Args:
        source: rows and their reading.
        audio: the mel convention, to turn seconds into frames.
        limits: what is left out and how large a batch may get.
        seed: of the order.
        rank, world_size: this process and the number of processes.
        grad_accum: micro-batches of an optimizer step.
        keep: decides whether an utterance is in this split.
        shuffle_buffer: rows that are shuffled together, less where rows are large.
        by_length_rows: a pool of the first epoch that begins before so many rows goes from short to long.
        exclude: ids of utterances that are left out (data_pipeline.reading.exclude_list).
        speaker_augmentation: shifts of pitch and formants that utterances are heard in too; 0: all as recorded.
        recorded_share: of the utterances, that speaker augmentation leaves as recorded.

    balance: which utterances an epoch takes; None: all.
    """

    balance: SpeakerBalance | None = None

    def __init__(
        self,
        source: Source,
        audio: AudioConfig,
        limits: Limits,
        *,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        grad_accum: int = 1,
        keep=lambda utterance: True,
        shuffle_buffer: int = 2000,
        by_length_rows: int = 0,
        shuffle: bool = True,
        speaker_augmentation: int = 0,
        recorded_share: float = AS_RECORDED,
        exclude: frozenset[str] = frozenset(),
    ):
        self.source, self.audio, self.limits, self.seed = source, audio, limits, seed
        self.rank, self.world_size, self.grad_accum = rank, world_size, grad_accum
        self.keep, self.shuffle_buffer, self.shuffle = keep, shuffle_buffer, shuffle
        self.by_length_rows, self.speaker_augmentation, self.exclude = by_length_rows, speaker_augmentation, exclude
        self.recorded_share = recorded_share
        self.lengths_s: dict[int, float] = {}  # of recordings whose header was read
        self.taken = RowsTaken()  # of the epoch under way; whoever takes steps adds to it
        self.stats_by_epoch = RowStatsByEpoch()

    @property
    def row_stats(self) -> RowStats:
        """Of the epoch under way, as far as it was read."""
        return self.stats_by_epoch.now

    @property
    def whole_row_stats(self) -> RowStats | None:
        """Of the last epoch that was read from its start to its end."""
        return self.stats_by_epoch.whole

    def start(self, epoch: int) -> Cursor:
        """The beginning of an epoch."""
        return Cursor(epoch=epoch, group=self.world_size)

    def begin_anew(self, epoch: int) -> Cursor:
        """The beginning of the epoch under way, from which what the steps have taken is passed over."""
        self.stats_by_epoch.begin_anew(epoch)
        self.taken.plan_anew()
        return self.start(epoch)

    def leave(self, epoch: int) -> None:
        """The steps go on with the beginning of another epoch."""
        self.taken.clear()
        self.stats_by_epoch.leave(epoch)

    def utterances(self) -> Iterator[Utterance]:
        """Every readable utterance of this split, undecoded, in the source's order; for choosing examples."""
        for row in self.source.rows():
            try:
                utterance = self.source.to_utterance(row)
            except UserError:
                continue  # `epoch` counts and lists it
            if utterance.id not in self.exclude and self.keep(utterance):
                yield utterance

    def usable(self) -> Iterator[Utterance]:
        """Those of `utterances` whose recordings can be opened and that no limit leaves out."""
        for utterance in self.utterances():
            try:
                seconds = self._length_s(utterance)
            except UserError:
                continue  # `epoch` counts and lists it
            if self.limits.refusal(utterance, seconds, most_frames(seconds, self.audio)) is None:
                yield utterance

    def epoch(self, cursor: Cursor) -> Iterator[PlannedBatch]:
        """This rank's micro-batches from `cursor` to the end of its epoch; the same number on every rank."""
        self.stats_by_epoch.begin(cursor)
        step: list[tuple[tuple[Utterance, ...], Cursor]] = []
        for item in self._batches(cursor):
            # The latest batch waits one round, so that the epoch's last step is known as such.
            if len(step) == self.world_size * self.grad_accum:
                yield from self._share(step, last=False)
                step = []
            step.append(item)
        self.stats_by_epoch.end()
        if step:
            yield from self._share(step, last=True)

    def _share(self, step: list[tuple[tuple[Utterance, ...], Cursor]], last: bool) -> Iterator[PlannedBatch]:
        """This rank's part of one optimizer step's batches: the i-th goes to rank i modulo the number of ranks."""
        micro_steps = -(-len(step) // self.world_size)
        for micro in range(micro_steps):
            mine = micro * self.world_size + self.rank
            entries, behind = step[mine] if mine < len(step) else ((), step[-1][1])
            after = step[min((micro + 1) * self.world_size, len(step)) - 1][1]
            ends_step = micro == micro_steps - 1
            if last and ends_step:
                after = self.start(after.epoch + 1)
            # Of the batch itself, so that the same noise is drawn for it on any number of ranks.
            seed = (self.seed, behind.epoch, behind.rows, behind.batch)
            together = step[micro * self.world_size : (micro + 1) * self.world_size]
            taken = tuple(row_name(utterance) for batch, _ in together for utterance in batch)
            if self.speaker_augmentation and entries:
                entries = augmented(entries, self.speaker_augmentation, seed, self.recorded_share)
            yield PlannedBatch(entries, after, ends_step, last and ends_step, seed, taken)

    def _batches(self, cursor: Cursor) -> Iterator[tuple[tuple[Utterance, ...], Cursor]]:
        """All ranks' batches in order, each with the cursor behind it."""
        for pool, rows_before, rows_after in self._pools(cursor):
            batches = self._cut(pool, cursor, rows_before)
            first = cursor.batch if rows_before == cursor.rows else 0
            if first and len(self.taken) and not self._is_as_it_was(batches, first):
                yield from self._batches(self._planned_anew(cursor))
                return
            for index in range(first, len(batches)):
                pool_is_done = index + 1 == len(batches)
                after = replace(
                    cursor, rows=rows_after if pool_is_done else rows_before, batch=0 if pool_is_done else index + 1
                )
                yield batches[index], after

    def _is_as_it_was(self, batches: list[tuple[Utterance, ...]], first: int) -> bool:
        """Whether a pool's first batches are those that were taken last: recordings can be gone that its rows name."""
        names = [row_name(utterance) for batch in batches[:first] for utterance in batch]
        return len(batches) >= first and self.taken.ends_with(names)

    def _planned_anew(self, cursor: Cursor) -> Cursor:
        """Where to begin with an epoch of which all that was taken is to be passed over."""
        if self.rank == 0:
            print(
                f"The corpus is not what it was. The {len(self.taken)} rows of this epoch that were trained on are not "
                "repeated; the others are planned anew.",
                flush=True,
            )
        return self.begin_anew(cursor.epoch)

    def _pools(self, cursor: Cursor) -> Iterator[tuple[list[tuple[int, Utterance]], int, int]]:
        """(utterances with their frames, rows read before them, rows read with them), from the cursor's rows on.

        As many batches for each rank as the limits say, so that a group's lengths are similar on any number of ranks.
        """
        size = self.limits.pool_batches * self.limits.batch_size * cursor.group
        pool: list[tuple[int, Utterance]] = []
        pass_over = self.taken.to_pass_over()
        before, held = cursor.rows, 0
        count = 0 if pass_over else cursor.rows  # rows that are alike are told apart by their number
        for row in self._rows(cursor.epoch, count):
            count += 1
            accepted = self._accept(row, cursor.epoch)
            if accepted is not None and pass_over and pass_over[name := row_name(accepted[1])]:
                pass_over[name] -= 1
            elif accepted is not None and count > cursor.rows:
                pool.append(accepted)
                held += size_of(accepted[1].audio)
            if len(pool) == size or held >= POOL_BYTES:
                self.stats_by_epoch.mark(count)
                yield pool, before, count
                pool, before, held = [], count, 0
        if pool:
            self.stats_by_epoch.mark(count)
            yield pool, before, count

    def _rows(self, epoch: int, skip: int) -> Iterator[dict]:
        rows = self.source.rows()
        if self.shuffle:
            seed = int(np.random.SeedSequence([self.seed, epoch]).generate_state(1)[0])
            # Several files are read by a thread each, and mixed; one is read faster without.
            threads = min(10, rows.num_shards)
            rows = rows.shuffle(seed=seed, buffer_size=self._buffer_size(), max_buffer_input_shards=threads)
        try:
            yield from rows.skip(skip) if skip else rows
        except (OSError, pyarrow.ArrowException) as error:  # a disk or network that is gone, a file that is damaged
            raise UserError(
                f"The corpus cannot be read on, after {self.row_stats.seen} rows ({error}). See whether its disk or "
                "network answers and its files are whole, then give the same command: it goes on from the last "
                "checkpoint."
            ) from error

    def _buffer_size(self) -> int:
        """Fewer rows where they are large, so that memory is bounded for corpora of raw samples too."""
        for row in self.source.rows():
            try:
                size = size_of(self.source.to_utterance(row).audio)
            except UserError:
                continue
            return max(1, min(self.shuffle_buffer, SHUFFLE_BYTES // max(1, size)))
        return self.shuffle_buffer

    def _accept(self, row: dict, epoch: int) -> tuple[int, Utterance] | None:
        """The utterance with its number of frames, at most, or None, tallied."""
        try:
            utterance = self.source.to_utterance(row)
            if utterance.id in self.exclude:
                self.row_stats.add_excluded(utterance.id)
                return None
            if not self.keep(utterance):
                return None
            if self.balance and not self.balance.takes(utterance, self.seed, epoch):
                self.row_stats.left_out[ANOTHER_TIME] += 1
                return None
            seconds = self._length_s(utterance)
        except UserError as error:
            # Without an id the message tells which row it is, the same in every epoch.
            # What is true of all files of a folder is listed once.
            is_of_many = isinstance(error, UnreadKind)
            self.row_stats.add_broken(str(error if is_of_many else row.get("id", error)), str(error))
            return None
        frames = most_frames(seconds, self.audio)
        reason = self.limits.refusal(utterance, seconds, frames)
        if reason:
            self.row_stats.left_out[reason] += 1
            return None
        self.row_stats.accepted += 1
        return frames, utterance

    def _length_s(self, utterance: Utterance) -> float:
        """As its header says, which is opened once: a third of what planning a later epoch cost."""
        audio = utterance.audio
        if isinstance(audio, Samples):
            return duration_s(audio, name=utterance.id)
        key = hash((utterance.id, utterance.text, utterance.speaker, utterance.recording))
        seconds = self.lengths_s.get(key)
        if seconds is None:
            seconds = duration_s(audio, name=utterance.id)
            if len(self.lengths_s) < LENGTHS_KEPT:
                self.lengths_s[key] = seconds
        return seconds

    def _cut(self, pool: list[tuple[int, Utterance]], cursor: Cursor, rows_before: int) -> list[tuple[Utterance, ...]]:
        """A pool's batches, longest first inside each, in groups of similar length whose order is drawn."""
        # Equal lengths stay in the order they were drawn in, so that batches differ from epoch to epoch.
        pool = sorted(pool, key=lambda item: -item[0])
        frames = [length for length, _ in pool]
        groups = cut(frames, self.limits.batch_size, self.limits.max_batch_frames, cursor.group)
        if cursor.epoch == 0 and rows_before < self.by_length_rows:
            groups.reverse()
        elif self.shuffle:
            np.random.default_rng([self.seed, cursor.epoch, rows_before]).shuffle(groups)
        return [tuple(utterance for _, utterance in pool[batch]) for group in groups for batch in group]
