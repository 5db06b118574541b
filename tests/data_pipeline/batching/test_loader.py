"""The loader: the same batches from any number of processes, with or without the cache; the last step's empty one."""

import multiprocessing
import os
import signal
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from data_pipeline.batching import loader as loader_module
from data_pipeline.batching.features import FeatureMaker, Features
from data_pipeline.batching.loader import FeatureCache, Loader
from data_pipeline.batching.plan import Limits, Plan
from data_pipeline.batching.row_stats import RowStats, merged
from data_pipeline.batching.stall_watchdog import StallWatchdog
from data_pipeline.recordings.audio import AudioConfig, decode_audio
from data_pipeline.utterance import Samples, Segment, Utterance
from testing import small_runs

LIMITS = Limits(batch_size=4, max_batch_frames=600, pool_batches=3)
MAKE = FeatureMaker(AudioConfig(), frames_per_step=2)


def loader(num_workers: int = 0, cache_mb: float = 0, source=None, **kwargs) -> Loader:
    plan = Plan(source or small_runs.source(), AudioConfig(), kwargs.pop("limits", LIMITS), shuffle_buffer=10, **kwargs)
    return Loader(plan, MAKE, StallWatchdog("made up", 60), num_workers=num_workers, cache_mb=cache_mb)


def epoch(one: Loader, number: int = 0) -> list:
    return list(one.epoch(one.plan.start(number)))


def assert_same(batches, expected) -> None:
    assert len(batches) == len(expected) > 3
    for batch, other in zip(batches, expected, strict=True):
        assert (batch.ids, batch.voices, batch.planned, batch.real) == (
            other.ids,
            other.voices,
            other.planned,
            other.real,
        )
        assert all(torch.equal(batch.tensors[name], other.tensors[name]) for name in other.tensors)


@pytest.fixture(scope="module")
def two_epochs() -> list[list]:
    """Of one process and no cache."""
    plain = loader()
    return [epoch(plain, 0), epoch(plain, 1)]


PAIRS = Limits(batch_size=2, max_batch_frames=10_000, pool_batches=15)


@cache
def epochs_of_ranks(world: int, num_workers: int) -> list[list[list]]:
    """Of each rank two epochs of batches, two a step."""
    ranks = [loader(num_workers, rank=rank, world_size=world, grad_accum=2, limits=PAIRS) for rank in range(world)]
    return [[epoch(one, 0), epoch(one, 1)] for one in ranks]


def names_of(batches: list) -> list[str]:
    return [name for batch in batches if batch.real for name in batch.ids]


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("world", [1, 2, 3])
def test_an_epoch_of_all_ranks_is_the_corpus_exactly(world, num_workers):
    ranks = epochs_of_ranks(world, num_workers)
    corpus = Counter(row["id"] for row in small_runs.rows())
    for number in (0, 1):
        assert Counter(name for rank in ranks for name in names_of(rank[number])) == corpus
        # So no rank waits for another: micro-batches, steps and places in the plan are alike.
        plans = [[batch.planned for batch in rank[number]] for rank in ranks]
        places = [[(one.ends_step, one.ends_epoch, one.after) for one in planned] for planned in plans]
        assert all(place == places[0] for place in places)
        assert len(places[0]) >= -(-15 // world) and sum(ends_epoch for _, ends_epoch, _ in places[0]) == 1
        assert all(batch.real for rank in ranks for batch in rank[number][:-1])  # only at the end one may have none
    assert all(names_of(first) != names_of(second) for first, second in ranks)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_the_order_is_that_of_one_process_on_any_number_of_ranks(world):
    for alone, rank in zip(epochs_of_ranks(world, 0), epochs_of_ranks(world, 2), strict=True):
        for batches, others in zip(alone, rank, strict=True):
            assert_same(batches, others)


@pytest.mark.parametrize("world", [2, 3])
def test_the_ranks_of_a_step_get_batches_of_similar_cost(world):
    ranks = [first for first, _ in epochs_of_ranks(world, 0)]
    costs = [[batch.tensors["mel"].shape[1] for batch in step] for step in zip(*ranks, strict=True)]  # padded frames
    spread = sum(max(step) - min(step) for step in costs)
    # By the headers the steps part the whole range between them; then the ends' silence is trimmed.
    assert spread <= 1.5 * (max(map(max, costs)) - min(map(min, costs)))


def test_two_loading_processes_give_the_same_batches(two_epochs):
    assert_same(epoch(loader(num_workers=2)), two_epochs[0])


def test_a_signal_before_a_loading_process_is_ready_does_not_end_it(two_epochs, monkeypatch):
    """A cluster's SIGTERM to the process group can come just as an epoch starts its processes."""
    ready = loader_module._serve_the_parent_only

    def interrupted(worker: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        ready(worker)

    monkeypatch.setattr(loader_module, "_serve_the_parent_only", interrupted)
    assert_same(epoch(loader(num_workers=1)), two_epochs[0])


@pytest.mark.parametrize("cache_mb", [100, 0.5])
def test_the_cache_changes_nothing(two_epochs, cache_mb):
    cached = loader(cache_mb=cache_mb)
    for number in (0, 1):
        assert_same(epoch(cached, number), two_epochs[number])
    assert sum(one.nbytes for one in cached.cache.features.values()) <= cache_mb * 2**20
    kept = len(cached.cache.features)
    assert kept == small_runs.ROWS if cache_mb == 100 else 0 < kept < small_runs.ROWS


def test_what_is_cached_is_not_decoded_again(two_epochs, monkeypatch):
    cached = loader(cache_mb=100)
    epoch(cached)
    monkeypatch.setattr("data_pipeline.batching.features.decode_audio", None)
    assert_same(epoch(cached, 1), two_epochs[1])


def test_what_is_all_cached_needs_no_loading_process(two_epochs):
    cached = loader(num_workers=1, cache_mb=100)
    before = set(multiprocessing.active_children())

    def started(number: int) -> tuple[list, int]:
        batches, most = [], 0
        for batch in cached.epoch(cached.plan.start(number)):
            batches.append(batch)
            most = max(most, len(set(multiprocessing.active_children()) - before))
        return batches, most

    for number, processes in ((0, 1), (1, 0)):
        batches, most = started(number)
        assert_same(batches, two_epochs[number])
        assert most == processes
    cached.cache.features.popitem()
    assert started(2)[1] == 1


class TwoTakes:
    """Two rows of one id, as corpora have them that number each speaker's recordings from 1."""

    def __init__(self):
        self.source = small_runs.source()

    def rows(self):
        return self.source.rows().take(2)

    def to_utterance(self, row):
        return replace(self.source.to_utterance(row), id="001")


def test_the_cache_tells_rows_of_one_id_apart():
    cached = loader(cache_mb=100, source=TwoTakes(), limits=Limits(2, 600))
    [first], [second] = epoch(cached), epoch(cached, 1)
    assert first.ids == second.ids == ["001", "001"]
    assert torch.equal(first.tensors["mel"], second.tensors["mel"])
    assert first.tensors["mel_lengths"][0] != first.tensors["mel_lengths"][1]


def test_a_cache_without_room_takes_what_still_fits():
    def of(seconds: int) -> Features:
        return Features(f"{seconds}", np.zeros(0), np.zeros((seconds, 80), np.float32), None, None)

    cache = FeatureCache(1000 / 2**20)
    cache.add([of(2), of(10), of(1), of(1)])
    assert [one.id for one in cache.features.values()] == ["2", "1"] and cache.room == 1000 - 3 * 320


def test_padded_batches_keep_to_their_frames(two_epochs):
    for batch in two_epochs[0]:
        for name in ("mel", "reference_mel"):
            assert batch.tensors[name].shape[0] * batch.tensors[name].shape[1] <= LIMITS.max_batch_frames
    assert max(len(batch.ids) for batch in two_epochs[0]) == LIMITS.batch_size


def test_the_last_step_of_a_rank_without_a_batch_is_silence_that_does_not_count():
    loaders = [loader(source=TwoTakes(), rank=rank, world_size=3) for rank in (1, 2)]
    [first], [second] = map(epoch, loaders)
    assert first.real and not second.real  # two utterances for 3 ranks
    assert first.planned.ends_epoch and second.planned.ends_epoch
    assert second.ids == [""] and not second.broken
    assert second.tensors["mel_lengths"].tolist() == [4] and second.tensors["token_lengths"].tolist() == [2]


class WithBrokenRows:
    """The small corpus with two recordings cut to their first bytes, which only decoding finds out."""

    def __init__(self):
        self.source, self.broken = small_runs.source(), {row["id"] for row in small_runs.rows()[3:5]}

    def rows(self):
        return self.source.rows()

    def to_utterance(self, row):
        one = self.source.to_utterance(row)
        return replace(one, text="...") if one.id in self.broken else one


@pytest.mark.parametrize("num_workers", [0, 1])
def test_what_cannot_be_used_is_skipped_and_counted(num_workers):
    source = WithBrokenRows()
    one = loader(num_workers, source=source)
    names = [name for batch in epoch(one) if batch.real for name in batch.ids]
    assert sorted(names) == sorted(row["id"] for row in small_runs.rows() if row["id"] not in source.broken)
    assert set(one.plan.row_stats.broken) == source.broken
    assert all(name in why for name, why in one.plan.row_stats.broken.items())
    assert one.plan.row_stats.kept == small_runs.ROWS - 2 and one.plan.row_stats.seen == small_runs.ROWS


def test_the_tallies_of_all_ranks_are_one_ranks_alone():
    def stats_by_epoch(world: int) -> list[RowStats]:
        loaders = [loader(source=WithBrokenRows(), rank=rank, world_size=world) for rank in range(world)]
        for one in loaders:
            epoch(one, 0), epoch(one, 1)
        return [one.plan.row_stats for one in loaders]

    [alone], ranks = stats_by_epoch(1), stats_by_epoch(2)
    assert alone.broken_rows == alone.undecodable == 2 and ranks[0] != ranks[1]
    assert merged(ranks) == merged([alone]) == alone


def test_from_a_cursor_on_the_rest_is_bit_equal(two_epochs):
    resumed = loader(num_workers=1)
    rest = list(resumed.epoch(two_epochs[0][2].planned.after))
    assert_same(rest, two_epochs[0][3:])


class SameNames:
    """The small corpus, every row of which has the same id, text and speaker, in three kinds of recordings."""

    def __init__(self, kind: str, folder):
        self.kind, self.folder, self.opened = kind, folder, small_runs.source()

    def rows(self):
        return self.opened.rows()

    def to_utterance(self, row: dict):
        audio = self.opened.to_utterance(row).audio
        if self.kind == "path":
            path = self.folder / f"{row['id'].replace('/', '-')}.opus"
            path.write_bytes(audio)
            audio = str(path)
        elif self.kind == "samples":
            audio = Samples(decode_audio(audio, 22_050), 22_050)
        elif self.kind == "segment":
            wave = np.concatenate([decode_audio(small_runs.rows()[n]["audio"]["bytes"], 8000) for n in range(4)])
            place = [one["id"] for one in small_runs.rows()].index(row["id"])
            audio = Segment(Samples(wave, 8000), 0.1 * place, 0.1 * place + 0.5 + 0.01 * place)
        return Utterance("one", "ten", audio, "ann", "en")


@pytest.mark.parametrize("kind", ["bytes", "path", "samples", "segment"])
def test_rows_of_one_name_keep_their_own_recordings_in_every_epoch(kind, tmp_path):
    """Their cache took the first for all of them from the second epoch on."""
    one = loader(cache_mb=64, source=SameNames(kind, tmp_path))
    sums = [sorted(float(mel.sum()) for batch in epoch(one, n) for mel in mels_of(batch)) for n in (0, 1)]
    assert len(sums[0]) == len(small_runs.rows())
    assert sums[0] == pytest.approx(sums[1], rel=1e-6)
    assert len({round(total, 3) for total in sums[1]}) == len(sums[1])


def mels_of(batch) -> list:
    lengths = batch.tensors["mel_lengths"].tolist()
    return [mel[:length].double() for mel, length in zip(batch.tensors["mel"], lengths, strict=True)]
