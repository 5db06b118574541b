"""The plan's batches, decoded by several processes, with what was decoded kept as far as memory allows."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch.utils.data import DataLoader

from data_pipeline.batching.collate import REFERENCE_S, Batch, Collator
from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.features import FeatureMaker, Features
from data_pipeline.batching.plan import Plan, PlannedBatch
from data_pipeline.batching.stall_watchdog import BrokenOff, Stalled, StallWatchdog
from data_pipeline.utterance import Utterance

PREFETCHED = 4  # batches, by each loading process
SHARED_MEMORY, USUAL_S = "/dev/shm", 6.0  # where batches pass between processes; seconds of an utterance of theirs


class FeatureCache:
    """Decoded utterances, up to a fixed number of bytes: a small corpus is decoded once, a large one streams on.

    Kept by id, text, speaker and recording, as not every corpus has an id to each row, and by the shift of the voice.
    """

    def __init__(self, megabytes: float):
        self.room = int(megabytes * 2**20)
        self.features: dict[tuple, Features] = {}

    def add(self, features: list[Features]) -> None:
        for one in features:
            key = _key(one)
            if one.nbytes <= self.room and key not in self.features:
                self.features[key] = one
                self.room -= one.nbytes

    def fill_in(self, planned: PlannedBatch) -> PlannedBatch:
        """The batch with features in place of the recordings that are here already."""
        found = (self.features.get(_key(entry), entry) for entry in planned.entries)
        return replace(planned, entries=tuple(found))


def _key(entry: Utterance | Features) -> tuple:
    return entry.id, entry.text, entry.speaker, entry.recording, entry.shift


class Loader:
    """Batches of this rank's share of the plan.

    Args:
        plan: what makes a batch.
        make: utterance to features.
        watchdog: how long a batch is waited for.
        num_workers: loading processes; 0 decodes in this one, as does an epoch on a CPU that finds all in the cache.
        cache_mb: memory for decoded features, in this process.
        pin: page-locked memory, for faster copies to a GPU.
        reference_s: of the Collator.
    """

    def __init__(
        self,
        plan: Plan,
        make: FeatureMaker,
        watchdog: StallWatchdog,
        *,
        num_workers: int = 0,
        cache_mb: float = 0,
        pin: bool = False,
        reference_s: tuple[float, float] = REFERENCE_S,
    ):
        self.plan, self.watchdog, self.num_workers, self.pin = plan, watchdog, num_workers, pin
        if not has_room_for_workers(plan, num_workers):
            self.num_workers = 0
            if plan.rank == 0:
                print(
                    f"{SHARED_MEMORY} is too small for {num_workers} loading processes, so this process loads itself. "
                    "Make it larger (docker run --shm-size=1g), or give --num-workers 0.",
                    flush=True,
                )
        self.collator = Collator(make, reference_s)
        self.cache = FeatureCache(cache_mb)

    def epoch(self, cursor: Cursor) -> Iterator[Batch]:
        """From `cursor` to the end of its epoch. Utterances that turn out broken join the plan's row_stats.

        Raises Stalled where a batch does not come in time.
        """

        def how_far() -> str:
            return f"in epoch {cursor.epoch + 1}, {self.plan.row_stats.seen} rows read"

        others = set(multiprocessing.active_children())
        try:
            with self.watchdog.waiting(how_far), signals_held() as release:
                batches = iter(self._data_loader(cursor, release))
            while True:
                with self.watchdog.waiting(how_far):
                    batch = next(batches, None)
                if batch is None:
                    return
                self.cache.add(batch.features)
                batch.features = []
                for utterance_id, why in batch.broken.items():
                    self.plan.row_stats.add_undecodable(utterance_id, why)
                yield batch
        except (Stalled, BrokenOff):
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()  # they may be what waits, and would not hear that the epoch is over
            raise

    def utterances(self, what_for: str = "choosing examples") -> Iterator[Utterance]:
        """Those of `Plan.utterances`, each waited for no longer than a batch."""
        return waited_for(self.plan.utterances(), self.watchdog, what_for)

    def _needs_no_decoding(self) -> bool:
        """Whether all that is left is to pad, which takes less than to send the features to a process and back.

        Never for a GPU: its process has memory to pin in that time. Nor where the same row comes in other voices,
        or an epoch takes other rows than the one before.
        """
        whole = self.plan.whole_row_stats
        if self.pin or self.plan.speaker_augmentation or self.plan.balance or whole is None:
            return False
        return len(self.cache.features) >= whole.kept

    def _data_loader(self, cursor: Cursor, release: Callable[[], None]) -> DataLoader:
        def planned() -> Iterator[PlannedBatch]:
            release()  # the loading processes are there, and reading the rows may take long
            for batch in self.plan.epoch(cursor):
                yield self.cache.fill_in(batch)

        num_workers = 0 if self._needs_no_decoding() else self.num_workers
        return DataLoader(
            self.collator,
            batch_sampler=planned(),
            collate_fn=_as_it_is,
            num_workers=num_workers,
            prefetch_factor=PREFETCHED if num_workers else None,
            pin_memory=self.pin,
            worker_init_fn=_serve_the_parent_only,
        )


def waited_for(utterances: Iterator[Utterance], watchdog: StallWatchdog, what_for: str) -> Iterator[Utterance]:
    """The same, each waited for no longer than a batch."""
    while True:
        with watchdog.waiting(lambda: what_for):
            utterance = next(utterances, None)
        if utterance is None:
            return
        yield utterance


def has_room_for_workers(plan: Plan, num_workers: int) -> bool:
    """Whether the memory that processes share holds what the loading ones prefetch; containers have little of it."""
    if not num_workers or not os.path.isdir(SHARED_MEMORY):
        return True
    frames = min(plan.limits.max_batch_frames, plan.limits.batch_size * int(USUAL_S * plan.audio.frames_per_s))
    batches = (PREFETCHED * num_workers + 1) * int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    found = os.statvfs(SHARED_MEMORY)
    return found.f_bavail * found.f_frsize >= batches * frames * plan.audio.n_mels * 4


def is_of_lost_worker(error: RuntimeError) -> bool:
    """Whether torch says that a loading process has ended."""
    return str(error).startswith("DataLoader worker")


def told_lost_worker(error: RuntimeError, num_workers: int) -> str:
    said = str(error).splitlines()[0].rstrip(".")
    return (
        f"A loading process ended ({said}), as one does that is killed for want of memory, of which the system's log "
        f"tells. The same command goes on from the last checkpoint; fewer processes need less: --num-workers "
        f"{max(0, num_workers - 1)}."
    )


def _as_it_is(batch: Batch) -> Batch:
    return batch


@contextmanager
def signals_held() -> Iterator[Callable[[], None]]:
    """Put off what could end a loading process between its start and `_serve_the_parent_only`; it inherits this.

    Gives what ends that early.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})

    def release() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        yield release
    finally:
        release()


def _serve_the_parent_only(_: int) -> None:
    """Signals to the whole process group are the trainer's, which saves and ends its loaders itself.

    Without the trainer a loading process ends too: torch's own check does not help one that waits for a reader.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigtimedwait"):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        found = signal.sigtimedwait({signal.SIGTERM}, 1.0)
        if found is not None and found.si_pid == parent:
            break
    os._exit(0)
