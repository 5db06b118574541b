"""Where a fault plays: a small run of train_main.py in a forked process, and what can be asked of its folder."""

import json
import math
import shutil
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

import train_main
from benchmarks.reliability.crash.checks import whole_checkpoints
from benchmarks.reliability.crash.forked import Child, call
from testing import small_runs

STEPS = 6  # of a run
SETS = "checkpoint.every_steps=1 checkpoint.keep=3 train.eval_every=3 train.cpu_threads=1".split()
LONGEST_S = 120.0  # of a run; one that takes longer hangs


class NotHandled(AssertionError):
    """A fault did not end as a user would want."""


@dataclass(frozen=True)
class Done:
    """How a run ended: its exit code, and all that it said."""

    code: int
    said: str

    def require(self, condition: bool, wanted: str) -> None:
        """Raises NotHandled, with what was wanted, where the condition does not hold; shows what was said."""
        if not condition:
            print(self.said.strip()[-2000:])
            raise NotHandled(f"wanted {wanted}; exit code {self.code}")

    def require_code(self, code: int) -> None:
        self.require(self.code == code, f"exit code {code}")
        self.require("Traceback" not in self.said, "no traceback")

    def require_said(self, words: str) -> None:
        self.require(words in self.said, f"the words {words!r}")


class AtStep(TrainerCallback):
    """Does something at the end of a step."""

    def __init__(self, step: int, action):
        self.step, self.action = step, action

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            self.action()


class Stage:
    """The folder of one fault; `work` holds the corpus and the runs that all faults start from.

    run: its run folder.
    """

    def __init__(self, work: Path, name: str):
        self.work, self.folder = work, work / name
        self.folder.mkdir(parents=True)
        self.run, self.log = self.folder / "run", self.folder / "log.txt"

    def arguments(self, *more, run: Path | None = None, corpus: Path | None = None, steps: int = STEPS) -> list[str]:
        """Of train_main; later ones win."""
        given = ["--train-data", corpus or self.work / "corpus", "--checkpoint-dir", run or self.run]
        sets = [word for one in SETS for word in ("--set", one)]
        return [str(one) for one in (*given, *small_runs.SMALL, "--max-steps", steps, *sets, *more)]

    def train(self, *more, inside=nullcontext, longest_s: float = LONGEST_S, **given) -> Done:
        """A run of train_main.py. inside: makes the context manager in which it runs, in its process, and
        which gives callbacks of the run, or None."""
        before = self.log.stat().st_size if self.log.is_file() else 0
        child = Child(partial(_main, self.arguments(*more, **given), inside), self.log)
        ended = child.ended_within(longest_s)
        code = child.wait(longest_s)
        done = Done(code, self.log.read_bytes()[before:].decode(errors="replace"))
        done.require(ended, f"an end within {longest_s:.0f} s")
        return done

    def prepared(self, steps: int) -> Path:
        """The folder of a run of so many steps without a fault, made once for all faults."""
        holder = self.work / f"prepared-{steps}"
        if not holder.is_dir():
            done = Stage(self.work, holder.name).train(steps=steps)
            done.require(done.code == 0, "a run without a fault")
        return holder / "run"

    def start_from(self, steps: int) -> None:
        """The run folder becomes a copy of such a run."""
        shutil.copytree(self.prepared(steps), self.run, dirs_exist_ok=True)

    # Questions; what computes does so in a forked process

    def checkpoints(self) -> list[str]:
        return [path.name for path in whole_checkpoints(self.run)]

    def newest(self) -> Path:
        return whole_checkpoints(self.run)[-1]

    def is_as_unbroken(self, steps: int = STEPS) -> bool:
        """Whether the newest checkpoint is bit-equal to that of a run of so many steps without a fault."""
        return call(partial(_are_equal, self.run, self.prepared(steps)), self.log) == 0

    def has_finite_weights(self) -> bool:
        return call(partial(_are_finite, self.newest()), self.log) == 0

    def scalars(self, run: Path | None = None) -> dict[str, dict[int, float]]:
        """TensorBoard's curves of this run or another."""
        out = self.folder / "scalars.json"
        call(partial(_write_scalars, run or self.run, out), self.log)
        curves = json.loads(out.read_text(encoding="utf-8"))
        return {name: {int(step): value for step, value in curve.items()} for name, curve in curves.items()}


def _main(argv: list[str], inside) -> int:
    with inside() as callbacks:
        return train_main.main(argv, callbacks=callbacks or ())


def _are_equal(run: Path, other: Path) -> int:
    small_runs.assert_equal_ends(run, other)
    return 0


def _are_finite(checkpoint: Path) -> int:
    weights = load_file(checkpoint / "model.safetensors")
    assert all(torch.isfinite(value).all() for value in weights.values())
    return 0


def _write_scalars(run: Path, out: Path) -> int:
    curves = small_runs.scalars(run)
    finite = {name: {step: v for step, v in curve.items() if math.isfinite(v)} for name, curve in curves.items()}
    out.write_text(json.dumps(finite), encoding="utf-8")
    return 0
