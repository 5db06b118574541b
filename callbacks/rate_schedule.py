"""What the learning-rate callbacks share: they set each group's rate from its peak before every step."""

from collections.abc import Callable

from transformers import TrainerCallback

from training.config.fields import OptimConfig


class RateSchedule(TrainerCallback):
    """Sets "lr" of every parameter group to its "peak_lr" times `factor`, never below the floor.

    Args:
        fitted: gives the optimizer's settings for the run's present length, which a time budget only estimates
            (warm-up and first period may have to shrink).
    """

    def __init__(self, fitted: Callable[[], OptimConfig]):
        self.fitted = fitted

    def factor(self, step: int, optim: OptimConfig) -> float:
        """The rate over its peak at optimizer step `step`, from 1."""
        raise NotImplementedError

    def on_step_begin(self, args, state, control, optimizer=None, **kwargs):
        optim = self.fitted()
        factor = self.factor(state.global_step + 1, optim)
        for group in optimizer.param_groups:
            group["lr"] = max(optim.lr_floor, group["peak_lr"] * factor)
