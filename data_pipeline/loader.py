"""The plan's batches, decoded by several processes, with what was decoded kept as far as memory allows."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from torch.utils.data import DataLoader

from data_pipeline.collate import Batch, Collator
from data_pipeline.features import FeatureMaker, Features
from data_pipeline.plan import Cursor, Plan, PlannedBatch


class FeatureCache:
    """Decoded utterances, up to a fixed number of bytes: a small corpus is decoded once, a large one streams on.

    Kept by id, text and speaker, as not every corpus has an id to each row.
    """

    def __init__(self, megabytes: float):
        self.room = int(megabytes * 2**20)
        self.features: dict[tuple, Features] = {}

    def add(self, features: list[Features]) -> None:
        for one in features:
            key = (one.id, one.text, one.speaker)
            if one.nbytes <= self.room and key not in self.features:
                self.features[key] = one
                self.room -= one.nbytes

    def fill_in(self, planned: PlannedBatch) -> PlannedBatch:
        """The batch with features in place of the recordings that are here already."""
        found = (self.features.get((entry.id, entry.text, entry.speaker), entry) for entry in planned.entries)
        return replace(planned, entries=tuple(found))


class Loader:
    """Batches of this rank's share of the plan.

    Args:
        plan: what makes a batch.
        make: utterance to features.
        num_workers: loading processes; 0 decodes in this one.
        cache_mb: memory for decoded features, in this process.
        pin: page-locked memory, for faster copies to a GPU.
    """

    def __init__(self, plan: Plan, make: FeatureMaker, *, num_workers: int = 0, cache_mb: float = 0, pin: bool = False):
        self.plan, self.num_workers, self.pin = plan, num_workers, pin
        self.collator = Collator(make)
        self.cache = FeatureCache(cache_mb)

    def epoch(self, cursor: Cursor) -> Iterator[Batch]:
        """From `cursor` to the end of its epoch. Utterances that turn out broken join the plan's tally."""
        planned = (self.cache.fill_in(batch) for batch in self.plan.epoch(cursor))
        batches = DataLoader(
            self.collator,
            batch_sampler=planned,
            collate_fn=_as_it_is,
            num_workers=self.num_workers,
            prefetch_factor=4 if self.num_workers else None,
            pin_memory=self.pin,
            worker_init_fn=_serve_the_parent_only,
        )
        with signals_held():
            batches = iter(batches)
        for batch in batches:
            self.cache.add(batch.features)
            batch.features = []
            for utterance_id, why in batch.broken.items():
                self.plan.tally.add_undecodable(utterance_id, why)
            yield batch


def _as_it_is(batch: Batch) -> Batch:
    return batch


@contextmanager
def signals_held() -> Iterator[None]:
    """Put off what could end a loading process between its start and `_serve_the_parent_only`; it inherits this."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve_the_parent_only(_: int) -> None:
    """Signals to the whole process group are the trainer's, which saves and ends its loaders itself.

    Without the trainer a loading process ends too: torch's own check does not help one that waits for a reader.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigtimedwait"):  # Linux
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        found = signal.sigtimedwait({signal.SIGTERM}, 1.0)
        if found is not None and found.si_pid == parent:
            break
    os._exit(0)
