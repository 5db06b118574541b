"""This trainer as the command runs it, but for where its batches come from."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

from accelerate.state import AcceleratorState, GradientState
from transformers import TrainerCallback

import train_main
from benchmarks.speed.loop.bare import WARM_UP, Clock, Job
from data_pipeline.batching.loader import Loader


class Enough(Exception):
    """The timed steps are done."""


class Ticking(TrainerCallback):
    def __init__(self, clock: Clock):
        self.clock = clock

    def on_step_end(self, args, state, control, **kwargs):
        self.clock.tick()
        if len(self.clock.ends) == WARM_UP + self.clock.job.steps:
            raise Enough


def goya(job: Job) -> float:
    """Seconds a step, with callbacks, logs, spike guard and gradient monitor as a user has them."""
    clock = Clock(job)

    def replayed(self, cursor) -> Iterator:
        planned = job.batches[0].planned
        for number in range(WARM_UP + job.steps):
            batch = job.batches[number % len(job.batches)]
            yield replace(batch, planned=replace(planned, ends_step=True, ends_epoch=False))

    AcceleratorState._reset_state(reset_partial_state=True)  # accelerate keeps one a process
    GradientState._reset_state()
    with tempfile.TemporaryDirectory() as run, mock.patch.object(Loader, "epoch", replayed):
        flags = [*job.flags, "--max-steps", str(10 * job.steps), "--checkpoint-dir", run]
        try:
            train_main.main(flags, callbacks=[Ticking(clock)])
        except Enough:
            return clock.seconds_a_step
    raise AssertionError("the run ended before the clock did")
