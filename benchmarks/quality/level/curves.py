"""What curves say: when a run is as good as another ends up, and how steady it is on the way."""

import statistics
from collections.abc import Sequence
from itertools import pairwise

Curve = list[dict]  # of evaluations: step, seconds, utterances, and measures of which less is better
WORSE = 1.02  # times the evaluation before


def best(curve: Curve, measure: str) -> float:
    return min(point[measure] for point in curve if measure in point)


def reached(curve: Curve, measure: str, target: float) -> dict | None:
    """The first evaluation at `target` or below."""
    return next((point for point in curve if point.get(measure, float("inf")) <= target), None)


def speedups(basic: Sequence[Curve], other: Sequence[Curve], measure: str, unit: str = "seconds") -> list[float | None]:
    """Seed by seed: what basic took to its best value of the whole budget over what the other took to that value.

    None where the other never gets there.
    """
    found = []
    for reference, curve in zip(basic, other, strict=True):
        target = best(reference, measure)
        there = reached(curve, measure, target)
        found.append(reached(reference, measure, target)[unit] / there[unit] if there else None)
    return found


def gain(with_it: Curve, without: Curve, measure: str, unit: str = "seconds") -> float:
    """How many times as fast the first is: the better of the two, to where the other gets within its whole budget.

    Between two evaluations a measure is taken to change evenly.
    """
    if best(with_it, measure) > best(without, measure):
        return 1 / gain(without, with_it, measure, unit)
    target = best(without, measure)
    return crossing(without, measure, target, unit) / crossing(with_it, measure, target, unit)


def crossing(curve: Curve, measure: str, target: float, unit: str) -> float:
    """Where a curve first is at `target`, on the line between the evaluations before and after."""
    before: dict | None = None
    for point in curve:
        if point[measure] <= target:
            if before is None:
                return point[unit]
            share = (before[measure] - target) / (before[measure] - point[measure])
            return before[unit] + share * (point[unit] - before[unit])
        before = point
    raise ValueError(f"{measure} never gets to {target}")


def median_and_range(values: Sequence[float | None]) -> dict:
    """Of those that are there, and how many are not; a median only where most are."""
    there = sorted(value for value in values if value is not None)
    spread = {"least": there[0], "most": there[-1]} if there else {}
    never = len(values) - len(there)
    # What never happens counts as worse than everything that does.
    middle = statistics.median([*there, *[0.0] * never]) if len(there) > never else None
    return {"median": middle, "never": never, "of": len(values)} | spread


def steadiness(curve: Curve, measure: str) -> dict[str, float]:
    """From evaluation to evaluation: the share that got worse by more than 2 %, and the largest swing (0.1: 10 %)."""
    values = [point[measure] for point in curve if measure in point]
    changes = [after / before for before, after in pairwise(values)]
    return {
        "worse_evaluations": sum(change > WORSE for change in changes) / max(1, len(changes)),
        "largest_swing": max([change - 1 for change in changes if change > 1], default=0.0),
    }
