"""train_main.py with a blow at a given step:  wrapped_train.py NAME STEP [train_main's arguments]

Loss weights move every 2 steps instead of every 100, so that a short run sees them move.
"""

import os
import signal
import subprocess
import sys
from unittest import mock

from transformers import TrainerCallback

import callbacks.default
import train_main
from callbacks.adaptive_weights import AdaptiveWeights
from training.checkpoint import CheckpointFolder


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


def killed_in_saving(step: int):
    """SIGKILL once the weights of `step` are written and the rest is not."""
    save = CheckpointFolder.save

    def saved(self, at: int, *more):
        if at == step:
            self.export = lambda path: os.kill(os.getpid(), signal.SIGKILL)
        return save(self, at, *more)

    return mock.patch.object(CheckpointFolder, "save", saved)


def with_callbacks(*more):
    """default_callbacks and these."""
    default = callbacks.default.default_callbacks
    return mock.patch.object(callbacks.default, "default_callbacks", lambda *args: [*default(*args), *more])


def quick_weights():
    return mock.patch.object(AdaptiveWeights.__init__, "__defaults__", (2,))


def main(name: str, step: int, argv: list[str]) -> int:
    blows = {
        "SIGTERM": with_callbacks(Blow("SIGTERM", step)),
        "SIGINT": with_callbacks(Blow("SIGINT", step)),
        "SIGKILL in saving": killed_in_saving(step),
        "none": with_callbacks(),
    }
    with quick_weights(), blows[name]:
        return train_main.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
