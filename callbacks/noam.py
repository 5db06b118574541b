"""Warm-up, then a fall with the root of the step (Vaswani et al. 2017)."""

from callbacks.rate_schedule import RateSchedule
from training import schedule
from training.config import OptimConfig


class Noam(RateSchedule):
    def factor(self, step: int, optim: OptimConfig) -> float:
        return schedule.noam(step, optim.warmup_steps)
