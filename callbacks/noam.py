"""Warm-up, then a fall with the root of the step (Vaswani et al. 2017)."""

from callbacks.rate_schedule import RateSchedule
from training.config.fields import OptimConfig
from training.loop import schedule


class Noam(RateSchedule):
    def factor(self, step: int, optim: OptimConfig) -> float:
        return schedule.noam(step, optim.warmup_steps)
