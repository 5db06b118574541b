"""train_main.py on two ranks, one of which meets with harm:  harmed_rank.py KIND STEP [train_main's arguments]

KIND: "loss" or "gradient" (not a number on rank 1 at STEP), "memory" (rank 1 has room for two utterances from STEP on).
"""

import math
import sys
from unittest import mock

import torch
from accelerate.state import PartialState
from transformers import TrainerCallback

import train_main
import training.loop.step
from modeling.model import GoyaForTextToSpeech
from training.distributed.leave import leave


class Harm(TrainerCallback):
    """Knows the step under way, and whether this is the rank and the step."""

    def __init__(self, step: int):
        self.step, self.now = step, 0

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        self.now = state.global_step + 1

    @property
    def is_due(self) -> bool:
        return PartialState().process_index == 1 and self.now == self.step


def broken_loss(harm: Harm):
    plain = training.loop.step.loss_sums

    def broken(*args):
        sums = plain(*args)
        return {**sums, "mel": sums["mel"] * math.nan} if harm.is_due else sums

    return mock.patch.object(training.loop.step, "loss_sums", broken)


def broken_gradient(harm: Harm):
    """A loss that is finite and whose gradient is not: the root of nothing."""
    plain = training.loop.step.loss_sums

    def broken(output, *args):
        sums = plain(output, *args)
        root = (output.mel_before_BTC.sum() * 0.0).sqrt()
        return {**sums, "mel": sums["mel"] + root} if harm.is_due else sums

    return mock.patch.object(training.loop.step, "loss_sums", broken)


def little_memory(harm: Harm):
    plain = GoyaForTextToSpeech.forward

    def forward(self, input_ids, *args, **kwargs):
        is_small = PartialState().process_index == 1 and harm.now >= harm.step
        if self.training and is_small and len(input_ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory (made up)")
        return plain(self, input_ids, *args, **kwargs)

    return mock.patch.object(GoyaForTextToSpeech, "forward", forward)


KINDS = {"loss": broken_loss, "gradient": broken_gradient, "memory": little_memory}

if __name__ == "__main__":
    harm = Harm(int(sys.argv[2]))
    with KINDS[sys.argv[1]](harm):
        code = train_main.main(sys.argv[3:], callbacks=[harm])
    assert PartialState().num_processes == 2
    leave(code)
