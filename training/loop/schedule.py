"""Learning-rate schedules as pure functions of the step: the rate over its peak, from 0 to 1."""

import math


def warmup(step: int, warmup_steps: int) -> float:
    """A straight rise over the first `warmup_steps`; 1 from then on. `step` counts from 1."""
    return min(1.0, step / max(1, warmup_steps))


def noam(step: int, warmup_steps: int) -> float:
    """Rise, then fall with the root of the step (Vaswani et al. 2017, equation 3), scaled to a peak of 1."""
    return min(warmup(step, warmup_steps), math.sqrt(max(1, warmup_steps) / max(1, step)))


def cosine_restarts(step: int, warmup_steps: int, period_steps: int, decay: float, growth: float = 2.0) -> float:
    """Half cosines to 0 with restarts (SGDR: Loshchilov and Hutter 2017, equation 5) after a warm-up.

    Each period is `growth` times as long as the last, and its peak `decay` of the last one's.
    """
    if step <= warmup_steps:
        return warmup(step, warmup_steps)
    done, period, peak = step - warmup_steps, float(max(1, period_steps)), 1.0
    while done > period:
        done, period, peak = done - period, period * growth, peak * decay
    return peak * 0.5 * (1 + math.cos(math.pi * done / period))
