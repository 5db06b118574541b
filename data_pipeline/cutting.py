"""Where utterances that stand in order of length are cut into batches: with little padding, and no rank left waiting.

The least cost over all ways to cut, by dynamic programming from the end (as Bellman 1957): N utterances and batches of
B for each of R ranks are N * R * B sums of whole numbers, so that every machine cuts alike.
"""

import numpy as np

SHORT_COST = 2**40  # of a group without a batch for each rank: it would shift the steps of all that follow


def batch_cost(batch_size: int) -> int:
    """What a batch costs beside its frames, in frames: less pads less, in more batches that are less full.

    32 for a CPU's batches of 8 (measured: benchmarks/LOG.md). It grows as the square: where F frames a batch and
    padding in proportion to its size are to cost the least together, the best size is that of the root of F.
    """
    return max(8, batch_size) ** 2 // 2


def cut(frames: list[int], batch_size: int, max_batch_frames: int, ranks: int) -> list[list[slice]]:
    """Groups of a batch for each rank, which take a step together, as slices of the utterances.

    Args:
        frames: of each utterance, the longest first; none above max_batch_frames.
        batch_size: utterances of a batch, at most.
        max_batch_frames: of a batch, padded to its longest utterance, at most.
        ranks: batches of a group. Only where there are too few utterances a group has less.
    """
    counts = np.arange(1, batch_size * ranks + 1)  # utterances of a group
    rows = -(-counts // ranks)  # of its largest batch, which has the longest utterance too: the others wait for it
    fixed = ranks * batch_cost(batch_size) + np.where(counts < ranks, SHORT_COST, 0)
    least = np.zeros(len(frames) + 1, dtype=np.int64)  # cost of all from here on
    taken = np.zeros(len(frames), dtype=np.int64)
    for first in reversed(range(len(frames))):
        most = min(len(frames) - first, ranks * min(batch_size, max_batch_frames // frames[first]))
        costs = ranks * rows[:most] * frames[first] + fixed[:most] + least[first + 1 : first + 1 + most]
        best = int(costs.argmin())
        least[first], taken[first] = costs[best], best + 1
    groups, first = [], 0
    while first < len(frames):
        groups.append(_evenly(first, int(taken[first]), ranks))
        first += int(taken[first])
    return groups


def _evenly(first: int, count: int, ranks: int) -> list[slice]:
    """`count` utterances in a batch for each rank, none empty."""
    batches = min(count, ranks)
    ends = [first + -(-count * batch // batches) for batch in range(batches + 1)]
    return [slice(start, end) for start, end in zip(ends, ends[1:], strict=False)]
