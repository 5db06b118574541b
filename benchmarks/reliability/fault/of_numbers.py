"""Numbers that are not finite, in losses and gradients, and steps that need more memory than there is."""

import json
import math
import re
from collections.abc import Container, Iterator
from contextlib import contextmanager
from functools import partial
from unittest import mock

import torch
from transformers import TrainerCallback

import training.loop.step
from benchmarks.reliability.fault import nan_on_one_rank
from benchmarks.reliability.fault.stage import STEPS, Done, Stage
from modeling.model import GoyaForTextToSpeech
from testing import small_runs

PEAK = 0.001
CONSTANT = ("--set", "optim.schedule=constant", "--set", f"optim.lr={PEAK}")
BROKEN_STEP = 3
WIDEST = 2  # utterances of a micro-batch that still fits into the memory that is played here


class Steps(TrainerCallback):
    """Knows the number of the step under way."""

    now = 0

    def on_step_begin(self, args, state, control, **kwargs):
        self.now = state.global_step + 1


@contextmanager
def broken_losses(steps: Container[int]) -> Iterator[list[TrainerCallback]]:
    """The mel loss of these steps is NaN; gives the callback that counts them."""
    plain, count = training.loop.step.loss_sums, Steps()

    def broken(*args):
        sums = plain(*args)
        return {**sums, "mel": sums["mel"] * math.nan} if count.now in steps else sums

    with mock.patch.object(training.loop.step, "loss_sums", broken):
        yield [count]


def named_at(step: int, done: Done) -> list[str]:
    """The utterances that the skipped update of a step names."""
    found = re.search(rf"^Step {step}: .*; update skipped. Utterances: (.*)$", done.said, re.MULTILINE)
    done.require(found is not None, f"an update skipped at step {step}, with its utterances")
    return re.sub(r" \(rank \d+\)", "", found[1]).split(", ")


def nan_loss(stage: Stage) -> str:
    done = stage.train(inside=partial(broken_losses, {BROKEN_STEP}))
    done.require_code(0)
    named = named_at(BROKEN_STEP, done)
    done.require(stage.has_finite_weights(), "finite weights")
    done.require(done.said.count("update skipped") == 1, "one skipped update")
    return f"that update is skipped, its {len(named)} utterances are named, the weights stay finite"


def three_nan_losses_in_a_row(stage: Stage) -> str:
    every = ("--set", "checkpoint.every_steps=3")
    done = stage.train(*CONSTANT, *every, steps=8, inside=partial(broken_losses, {4, 5, 6}))
    done.require_code(0)
    went_back = f"Rolled back to {stage.run / 'checkpoints' / 'step-00000003'}" in done.said
    done.require(went_back, "a roll-back to step 3")
    rates = stage.scalars()["learning_rate"]
    halved = math.isclose(rates[6], PEAK, rel_tol=1e-5) and math.isclose(rates[7], PEAK / 2, rel_tol=1e-5)
    done.require(halved, f"half the rate after the roll-back, not {rates}")
    done.require(stage.has_finite_weights(), "finite weights")
    return "rolled back to the last good checkpoint, at half the rate"


def five_roll_backs(stage: Stage) -> str:
    done = stage.train(steps=99, inside=partial(broken_losses, range(2, 100)))
    done.require_code(2)
    done.require_said("Training diverged: 5 roll-backs")
    done.require(done.said.count("Rolled back") == 5, "five roll-backs")
    done.require((stage.run / "report.json").is_file(), "report.json")
    return "exit code 2 and a report, after five roll-backs"


# One rank of two


def nan_gradient_on_one_rank_of_two(stage: Stage) -> str:
    more = stage.arguments("--grad-accum", "1")
    launched = small_runs.launch(nan_on_one_rank.__file__, stage.folder, *more, processes=2)
    done = Done(launched.returncode, launched.stdout + launched.stderr)
    stage.log.write_text(done.said, encoding="utf-8")
    done.require_code(0)
    named = named_at(nan_on_one_rank.STEP, done)
    done.require(done.said.count("update skipped") == 1, "one skipped update, said once")
    one, other = (json.loads((stage.folder / f"rank{rank}.json").read_text()) for rank in (0, 1))
    done.require(one["finite"] and one == other, f"finite weights, alike on both ranks, not {one} and {other}")
    # Lengths cut that step to two utterances on each rank.
    done.require(len(named) == 4, f"the two utterances of each rank named, not {named}")
    return f"both ranks skip the update, the step's {len(named)} utterances are named, weights stay finite and alike"


# Memory


@contextmanager
def little_memory(number: int) -> Iterator[None]:
    """Training on more than `number` utterances at a time runs out of memory."""
    plain = GoyaForTextToSpeech.forward

    def forward(self, **tensors):
        if self.training and len(tensors["mel"]) > number:
            raise torch.OutOfMemoryError(f"{len(tensors['mel'])} utterances at once")
        return plain(self, **tensors)

    with mock.patch.object(GoyaForTextToSpeech, "forward", forward):
        yield


def out_of_memory(stage: Stage) -> str:
    done = stage.train(inside=partial(little_memory, WIDEST))
    done.require_code(0)
    done.require(re.search("memory", done.said) is not None, "a word on it")
    done.require(stage.checkpoints()[-1] == "step-00000006", "training to the end")
    curves = stage.scalars()
    # The first step's losses: same weights and utterances; dropout is drawn for each micro-batch, so not bit-equal.
    found, expected = (one["loss/alignment"][1] for one in (curves, stage.scalars(stage.prepared(STEPS))))
    done.require(math.isclose(found, expected, rel_tol=0.05), f"the same effective batch: {found} is not {expected}")
    return f"the step is cut into batches of {WIDEST}, said, the effective batch stays, training goes on"


def out_of_memory_for_one_utterance(stage: Stage) -> str:
    done = stage.train(inside=partial(little_memory, 0))
    done.require_code(2)
    done.require(re.search("memory", done.said) is not None, "a word on it")
    return "exit code 2, said"


FAULTS = {
    "NaN loss": nan_loss,
    "NaN gradient on one rank of two": nan_gradient_on_one_rank_of_two,
    "three NaN losses in a row": three_nan_losses_in_a_row,
    "five roll-backs": five_roll_backs,
    "out of memory": out_of_memory,
    "out of memory for one utterance": out_of_memory_for_one_utterance,
}
