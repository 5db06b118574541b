"""The learning rate of each group, set from its peak before every step."""

from collections.abc import Callable

from transformers import TrainerCallback

from training.config.settings import OptimConfig


class RateSchedule(TrainerCallback):
    """Sets "lr" of every parameter group to its "peak_lr" times the schedule, never below the floor.

    Args:
        schedule: one of training.loop.schedule.SCHEDULES.
        fitted: gives the optimizer's settings for the run's present length, which a time budget only estimates
            (warm-up and first period may have to shrink).
    """

    def __init__(self, schedule: Callable[[int, OptimConfig], float], fitted: Callable[[], OptimConfig]):
        self.schedule, self.fitted = schedule, fitted

    def on_step_begin(self, args, state, control, optimizer=None, **kwargs):
        optim = self.fitted()
        factor = self.schedule(state.global_step + 1, optim)
        for group in optimizer.param_groups:
            group["lr"] = max(optim.lr_floor, group["peak_lr"] * factor)
