"""Warm-up, then half cosines with restarts (SGDR, Loshchilov and Hutter 2017)."""

from callbacks.rate_schedule import RateSchedule
from training.config.fields import OptimConfig
from training.loop import schedule


class CosineRestarts(RateSchedule):
    def factor(self, step: int, optim: OptimConfig) -> float:
        return schedule.cosine_restarts(step, optim.warmup_steps, optim.first_period_steps, optim.restart_decay)
