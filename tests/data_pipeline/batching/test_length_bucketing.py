"""The cut into batches: the cheapest there is, within the limits, a batch for every rank."""

from collections.abc import Iterator

import numpy as np
import pytest

from data_pipeline.batching.length_bucketing import batch_cost, cut


def lengths(count: int, seed: int = 0) -> list[int]:
    """With a long tail, the longest first."""
    draw = np.random.default_rng(seed).lognormal(0.7, 0.8, count)
    return sorted((int(86 * seconds) + 1 for seconds in np.clip(draw, 0.4, 19.9)), reverse=True)


def cost(frames: list[int], groups: list[list[slice]], batch_size: int, ranks: int) -> int:
    """Frames that all ranks spend, the waiting for each other with it, and what the batches cost beside them."""
    slowest = [max(len(frames[one]) * frames[one.start] for one in group) for group in groups]
    return sum(ranks * (each + batch_cost(batch_size)) for each in slowest)


def every_cut(count: int, most: int, ranks: int) -> Iterator[list[int]]:
    """Sizes of groups, each with a batch for every rank."""
    if count == 0:
        yield []
    for size in range(ranks, min(count, most) + 1):
        yield from ([size, *rest] for rest in every_cut(count - size, most, ranks))


def slices(sizes: list[int], ranks: int) -> list[list[slice]]:
    groups, end = [], 0
    for size in sizes:
        parts = [len(part) for part in np.array_split(range(size), ranks)]
        group = []
        for part in parts:
            group.append(slice(end, end + part))
            end += part
        groups.append(group)
    return groups


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_no_other_cut_costs_less(ranks, seed):
    frames, batch_size = lengths(13, seed), 4
    every = (slices(sizes, ranks) for sizes in every_cut(len(frames), batch_size * ranks, ranks))
    least = min(cost(frames, groups, batch_size, ranks) for groups in every)
    assert cost(frames, cut(frames, batch_size, 10_000, ranks), batch_size, ranks) == least


@pytest.mark.parametrize("ranks", [1, 2, 8])
def test_all_are_cut_within_the_limits_into_whole_groups(ranks):
    frames = lengths(400)
    groups = cut(frames, 8, 2500, ranks)
    batches = [batch for group in groups for batch in group]
    assert [place for batch in batches for place in range(400)[batch]] == list(range(400))
    assert all(len(group) == ranks for group in groups)
    sizes = [len(frames[batch]) for batch in batches]
    assert min(sizes) >= 1 and max(sizes) <= 8
    assert all(size * frames[batch.start] <= 2500 for size, batch in zip(sizes, batches, strict=True))


def test_three_hundredths_of_a_long_tail_are_padding_and_batches_stay_nearly_full():
    frames = lengths(1024)
    batches = [frames[batch] for [batch] in cut(frames, 8, 32_000, 1)]
    assert 1 - sum(frames) / sum(len(batch) * batch[0] for batch in batches) < 0.03
    assert len(frames) / len(batches) > 6


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (2, [2]), (3, [3]), (4, [3, 1])])
def test_where_there_are_too_few_for_every_rank(count, sizes):
    """Batches of one utterance each, for which alone there is room."""
    groups = cut([100] * count, 8, 150, ranks=3)
    assert sorted(map(len, groups), reverse=True) == sizes
