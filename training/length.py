"""How long a run is, in optimizer steps, and the schedule fitted to that."""

import time

from accelerate import Accelerator

from training.agreement import as_main_says
from training.config import Provenance, RunConfig, apply_layer
from training.levels import run_length_layer

UNKNOWN_LENGTH = 10**9  # optimizer steps, while only the number of epochs is known and none has ended
FIRST_STEPS = 10  # the pace of a run with a time budget is measured at each of these, then when logging


class RunLength:
    """Steps, epochs and minutes, whichever ends first. A number of steps is exact, the others become so on the way.

    `optim` holds the optimizer's settings with warm-up and first period fitted to the present estimate.
    """

    def __init__(self, config: RunConfig, provenance: Provenance, accelerator: Accelerator):
        self.config, self.provenance, self.accelerator = config, provenance, accelerator
        self.optim = config.optim
        self.steps_per_epoch: int | None = None
        self.started = time.monotonic()
        self.before_s = 0.0  # seconds of the run before this process
        self.first_step: tuple[int, float] | None = None  # (step, run seconds), from where the pace is measured
        self.seconds_to_first_step = 0.0  # of this process

    @property
    def elapsed_s(self) -> float:
        return self.before_s + time.monotonic() - self.started

    def note_step(self, step: int) -> None:
        """Call it after each step."""
        if self.first_step is None:
            self.first_step = (step, self.elapsed_s)
            self.seconds_to_first_step = time.monotonic() - self.started

    def is_due(self, step: int) -> bool:
        """Whether the estimate wants renewing at this step."""
        return step <= FIRST_STEPS or step % self.config.log.every_steps == 0

    def estimate(self, step: int, epoch: int) -> int:
        """The run's steps, as now known; the main rank's clock decides for all. Call it on every rank."""
        train, limits = self.config.train, [UNKNOWN_LENGTH]
        if train.max_steps is not None:
            limits.append(train.max_steps)
        if self.steps_per_epoch:
            limits.append(train.epochs * self.steps_per_epoch)
        if epoch >= train.epochs:
            limits.append(step)
        if train.max_minutes is not None:
            limits.append(self.steps_in(60 * train.max_minutes, step))
        total = as_main_says(self.accelerator, min(limits))
        layer = run_length_layer(self.config, self.provenance, total)
        self.optim = apply_layer(self.config, self.provenance, layer)[0].optim
        return total

    def steps_in(self, budget_s: float, step: int) -> int:
        """Steps that a time budget makes, by the pace since the first step, which includes evaluations."""
        left_s = budget_s - self.elapsed_s
        if left_s <= 0:
            return step
        if self.first_step is None or step == self.first_step[0]:
            return UNKNOWN_LENGTH
        first, first_s = self.first_step
        return step + max(1, round(left_s * (step - first) / (self.elapsed_s - first_s)))

    def to_json(self) -> dict:
        return {"elapsed_s": self.elapsed_s, "steps_per_epoch": self.steps_per_epoch}

    def restore(self, saved: dict) -> None:
        self.before_s, self.steps_per_epoch = saved["elapsed_s"], saved["steps_per_epoch"]
