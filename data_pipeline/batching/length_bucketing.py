"""Where utterances that stand in order of length are cut into batches: with little padding, and no rank left waiting.

The least cost over all ways to cut, by dynamic programming from the end (as Bellman 1957). A group of R ranks takes R,
2R, ... utterances, as every rank waits for the rows of the largest; but one, where N is no multiple of R, which takes
the rest too. So N utterances in batches of B are 3 N / R * B sums, of whole numbers: every machine cuts alike.
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
    units, rest = divmod(len(frames), ranks)
    rows, fixed = np.arange(1, batch_size + 1), batch_cost(batch_size)

    def cheapest(first: int, then: np.ndarray, short: int = 0) -> tuple[int, int]:
        """The least cost from `first` on, and the rows of its first group; `then`: cost behind it, fewest rows last."""
        most = min(len(then), batch_size, max_batch_frames // frames[first])
        costs = ranks * (rows[:most] * frames[first] + fixed) + then[::-1][:most]
        costs[:1] += short
        best = int(costs.argmin())
        return int(costs[best]), best + 1

    # By the units (an utterance for each rank) that are left: cost and rows without the rest, and with it among them.
    cost, taken = np.zeros((2, units + 1), dtype=np.int64), np.zeros((2, units + 1), dtype=np.int64)
    takes_rest = np.zeros(units + 1, dtype=bool)
    for left in range(units + 1):
        first = len(frames) - left * ranks
        if left:
            cost[0, left], taken[0, left] = cheapest(first, cost[0, :left])
        if rest:
            with_rest = cheapest(first - rest, cost[0, : left + 1], SHORT_COST)
            without = cheapest(first - rest, cost[1, :left]) if left else with_rest
            takes_rest[left] = with_rest <= without
            cost[1, left], taken[1, left] = min(with_rest, without)
    groups, first, left, has_rest = [], 0, units, rest > 0
    while first < len(frames):
        count = int(taken[int(has_rest), left])
        if has_rest and takes_rest[left]:
            left, utterances, has_rest = left - count + 1, (count - 1) * ranks + rest, False
        else:
            left, utterances = left - count, count * ranks
        groups.append(_evenly(first, utterances, ranks))
        first += utterances
    return groups


def _evenly(first: int, count: int, ranks: int) -> list[slice]:
    """`count` utterances in a batch for each rank, none empty."""
    batches = min(count, ranks)
    ends = [first + -(-count * batch // batches) for batch in range(batches + 1)]
    return [slice(start, end) for start, end in zip(ends, ends[1:], strict=False)]
