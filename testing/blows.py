"""What happens to a run at a given step, as callbacks: for --callback, and for train_main.main(argv, callbacks=...)."""

import os
import signal
import subprocess

from transformers import TrainerCallback

from training.state.checkpoint import CheckpointFolder


class Blow(TrainerCallback):
    """A signal at the end of a step, from another process to this one's whole group, as clusters and shells send it."""

    def __init__(self, name: str, step: int):
        self.name, self.step = name, step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            kill = ["kill", "-s", self.name.removeprefix("SIG"), "--", f"-{os.getpgrp()}"]
            subprocess.run(kill, start_new_session=True)


class ToldToStop(TrainerCallback):
    """SIGTERM to this process alone at the end of a step, for runs in the process of the tests."""

    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            signal.raise_signal(signal.SIGTERM)


class KilledInSaving(TrainerCallback):
    """SIGKILL once the weights of `step` are written and the rest is not; for a process of its own."""

    def __init__(self, step: int):
        save = CheckpointFolder.save

        def saved(folder, at: int, *more):
            if at == step:
                folder.export = lambda path: os.kill(os.getpid(), signal.SIGKILL)
            return save(folder, at, *more)

        CheckpointFolder.save = saved
