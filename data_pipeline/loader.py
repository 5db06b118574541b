"""The plan's batches, decoded by several processes, with what was decoded kept as far as memory allows."""

import signal
from collections.abc import Iterator
from dataclasses import replace

from torch.utils.data import DataLoader

from data_pipeline.collate import Batch, Collator
from data_pipeline.features import FeatureMaker, Features
from data_pipeline.plan import Cursor, Plan, PlannedBatch


class FeatureCache:
    """Decoded utterances by id, up to a fixed number of bytes: a small corpus is decoded once, a large one streams on."""

    def __init__(self, megabytes: float):
        self.room = int(megabytes * 2**20)
        self.features: dict[str, Features] = {}

    def add(self, features: list[Features]) -> None:
        for one in features:
            if one.nbytes <= self.room and one.id not in self.features:
                self.features[one.id] = one
                self.room -= one.nbytes

    def fill_in(self, planned: PlannedBatch) -> PlannedBatch:
        """The batch with features in place of the recordings that are here already."""
        return replace(planned, entries=tuple(self.features.get(entry.id, entry) for entry in planned.entries))


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
            worker_init_fn=_leave_signals_to_the_parent,
        )
        for batch in batches:
            self.cache.add(batch.features)
            batch.features = []
            for utterance_id, why in batch.broken.items():
                if utterance_id not in self.plan.tally.broken:
                    self.plan.tally.kept -= 1
                self.plan.tally.broken[utterance_id] = why
            yield batch


def _as_it_is(batch: Batch) -> Batch:
    return batch


def _leave_signals_to_the_parent(_: int) -> None:
    """Ctrl-C reaches the whole process group; the trainer saves and ends its loaders itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
