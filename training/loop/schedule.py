"""Learning-rate schedules as pure functions of the step, from 1, and the optimizer's settings: the rate over its peak,
from 0 to 1."""

import math
from collections.abc import Callable

from training.config.settings import OptimConfig


def constant(step: int, optim: OptimConfig) -> float:
    """A straight rise over the warm-up; 1 from then on."""
    return min(1.0, step / max(1, optim.warmup_steps))


def noam(step: int, optim: OptimConfig) -> float:
    """Rise, then fall with the root of the step (Vaswani et al. 2017, equation 3), scaled to a peak of 1."""
    return min(constant(step, optim), math.sqrt(max(1, optim.warmup_steps) / max(1, step)))


def cosine_restarts(step: int, optim: OptimConfig) -> float:
    """Half cosines to 0 with restarts (SGDR: Loshchilov and Hutter 2017, equation 5) after the warm-up.

    Each period is `period_growth` times as long as the last, and its peak `restart_decay` of the last one's.
    """
    if step <= optim.warmup_steps:
        return constant(step, optim)
    done, period, peak = step - optim.warmup_steps, float(max(1, optim.first_period_steps)), 1.0
    while done > period:
        done, period, peak = done - period, period * optim.period_growth, peak * optim.restart_decay
    return peak * 0.5 * (1 + math.cos(math.pi * done / period))


# By the names of optim.schedule.
SCHEDULES: dict[str, Callable[[int, OptimConfig], float]] = {
    "noam": noam,
    "cosine_restarts": cosine_restarts,
    "constant": constant,
}
