"""Warm-up, then the peak rate to the end."""

from callbacks.rate_schedule import RateSchedule
from training import schedule
from training.config import OptimConfig


class ConstantRate(RateSchedule):
    def factor(self, step: int, optim: OptimConfig) -> float:
        return schedule.warmup(step, optim.warmup_steps)
