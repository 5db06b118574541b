"""Warm-up, then the peak rate to the end."""

from callbacks.rate_schedule import RateSchedule
from training.config.fields import OptimConfig
from training.loop import schedule


class ConstantRate(RateSchedule):
    def factor(self, step: int, optim: OptimConfig) -> float:
        return schedule.warmup(step, optim.warmup_steps)
