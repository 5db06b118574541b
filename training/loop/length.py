"""How long a run is, in optimizer steps, and the schedule fitted to that."""

import time
from dataclasses import dataclass

from accelerate import Accelerator

from data_pipeline.batching.cursor import Cursor
from training.config.fields import Provenance, RunConfig, apply_layer
from training.config.levels import run_length_layer
from training.distributed.collectives import as_main_says

UNKNOWN_LENGTH = 10**9  # optimizer steps, while only the number of epochs is known and none has ended
FIRST_STEPS = 10  # the pace of a run with a time budget is measured at each of these, then when logging


@dataclass(frozen=True)
class Ahead:
    """steps: of the whole run, None where that is not known yet, and roughly or not. most_s: until its minutes end."""

    steps: int | None
    most_s: float | None = None
    roughly: bool = False


class RunLength:
    """Steps, epochs and minutes, whichever ends first. A number of steps is exact, the others become so on the way.

    `optim` holds the optimizer's settings with warm-up and first period fitted to the present estimate.
    """

    def __init__(self, config: RunConfig, provenance: Provenance, accelerator: Accelerator):
        self.config, self.provenance, self.accelerator = config, provenance, accelerator
        self.optim = config.optim
        self.steps_per_epoch: int | None = None  # of the last epoch that ended
        self.epoch_began_at: int | None = 0  # step; None: before this process, of a checkpoint that does not say
        self.started = time.monotonic()
        self.before_s = 0.0  # seconds of the run before this process
        self.first_step: tuple[int, float] | None = None  # (step, run seconds), where this process' pace starts
        self.latest: tuple[int, float] | None = None  # the same of its latest step
        self.paced_before = (0, 0.0)  # steps of earlier processes, and the seconds between them
        self.kept: tuple[float, int] | None = None  # (budget in seconds, steps it makes) of the checkpoint gone on from
        self.is_guessed = False  # the estimate is of epochs like the last, so that it cannot end the run
        self.seconds_to_first_step = 0.0  # of this process

    @property
    def elapsed_s(self) -> float:
        return self.before_s + time.monotonic() - self.started

    def note_step(self, step: int) -> None:
        """Call it after each step."""
        self.latest = (step, self.elapsed_s)
        if self.first_step is None:  # whose seconds have the process' start in them
            self.first_step = self.latest
            self.seconds_to_first_step = time.monotonic() - self.started
        if self.is_due(step):
            self.kept = None

    def end_epoch(self, step: int, learn: bool = True) -> None:
        """The epoch under way ended with this step; `learn`: as its data does, so that the next are as long."""
        if learn and self.epoch_began_at is not None:
            self.steps_per_epoch = step - self.epoch_began_at
        self.epoch_began_at = step

    def is_due(self, step: int) -> bool:
        """Whether the estimate wants renewing at this step."""
        return step <= FIRST_STEPS or step % self.config.log.every_steps == 0

    def estimate(self, step: int, epoch: int) -> int:
        """The run's steps, as now known; the main rank's clock decides for all. Call it on every rank."""
        train, limits, by_epochs = self.config.train, [UNKNOWN_LENGTH], UNKNOWN_LENGTH
        if train.max_steps is not None:
            limits.append(train.max_steps)
        if epoch >= train.epochs:
            limits.append(step)
        elif self.steps_per_epoch:
            begun_at = epoch * self.steps_per_epoch if self.epoch_began_at is None else self.epoch_began_at
            # An epoch can be longer than the one before: not the estimate ends a run, the last row does.
            by_epochs = max(step + 1, begun_at + (train.epochs - epoch) * self.steps_per_epoch)
            limits.append(by_epochs)
        if train.max_minutes is not None:
            limits.append(self.steps_in(60 * train.max_minutes, step))
        total = as_main_says(self.accelerator, min(limits))
        self.is_guessed = total == by_epochs
        layer = run_length_layer(self.config, self.provenance, total)
        self.optim = apply_layer(self.config, self.provenance, layer)[0].optim
        return total

    def ahead(self, step: int, total: int, cursor: Cursor, rows: int | None) -> Ahead:
        """What is shown of the way to the end, now that `total` steps are estimated; the schedule does not follow it.

        `rows`: of an epoch, where they were counted: then a run of epochs is told by how much is read of the first.
        """
        minutes = self.config.train.max_minutes
        most_s = None if minutes is None else max(0.0, 60 * minutes - self.elapsed_s)
        if total < UNKNOWN_LENGTH:
            return Ahead(total, most_s)
        # A pool's batches may hold fewer rows than they might, so that a pool ends sooner than this says.
        read = cursor.rows + cursor.batch * self.config.train.batch_size
        done = cursor.epoch + min(1.0, read / rows) if rows else 0.0
        return Ahead(max(step, round(step * self.config.train.epochs / done)) if done else None, most_s, True)

    def steps_in(self, budget_s: float, step: int) -> int:
        """Steps that a time budget makes, by the pace between all steps so far, which includes evaluations.

        Until a run that goes on has a new estimate due, the one it went on with: its rates must not jump meanwhile.
        """
        left_s = budget_s - self.elapsed_s
        if left_s <= 0:
            return step
        if self.kept is not None and self.kept[0] == budget_s and self.kept[1] > step:
            return self.kept[1]
        steps, seconds = self._paced(step, self.elapsed_s)
        return step + max(1, round(left_s * steps / seconds)) if steps else UNKNOWN_LENGTH

    def _paced(self, step: int, now_s: float) -> tuple[int, float]:
        """How many steps of the run the pace is known of, and the seconds between them."""
        first, first_s = self.first_step or (step, now_s)
        return self.paced_before[0] + step - first, self.paced_before[1] + now_s - first_s

    def to_json(self, max_steps: int) -> dict:
        """`max_steps`: the estimate now in use."""
        minutes = self.config.train.max_minutes
        return {
            "elapsed_s": self.elapsed_s,
            "steps_per_epoch": self.steps_per_epoch,
            "epoch_began_at": self.epoch_began_at,
            "paced": self._paced(*self.latest) if self.latest else self.paced_before,
            "kept": None if minutes is None else (60 * minutes, max_steps),
        }

    def restore(self, saved: dict) -> None:
        """What `to_json` gave; checkpoints before 2026-12 have the first two only."""
        self.before_s, self.steps_per_epoch = saved["elapsed_s"], saved["steps_per_epoch"]
        self.epoch_began_at = saved.get("epoch_began_at")
        self.paced_before = tuple(saved.get("paced", (0, 0.0)))
        self.kept = tuple(saved["kept"]) if saved.get("kept") else None
