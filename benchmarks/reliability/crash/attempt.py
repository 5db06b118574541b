"""One attempt at a run: train_main.main in a forked process, watched, and ended at an event of its own.

What a blow hits is told by the phase the process is in. The phase and the number of file-system events in each are
kept in memory that both processes share, so that they are known after a SIGKILL too.
"""

import mmap
import os
import re
import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from transformers import TrainerCallback

import train_main
from benchmarks.reliability.crash.forked import Child
from callbacks.audio_samples import AudioSamples
from training.loop.interruption import Interruption
from training.loop.trainer import Trainer
from training.state.checkpoint import CheckpointFolder

PHASES = ("starting", "training", "saving", "rotating", "evaluating", "sampling", "best", "ending")
WRAPPED = {
    "saving": (CheckpointFolder, "save"),
    "evaluating": (Trainer, "_evaluate"),
    "sampling": (AudioSamples, "_speak"),
    "best": (CheckpointFolder, "save_best"),
}
# Rotating begins where a checkpoint gets its name, and ends with saving.
ROTATING, WHOLE = "rotating", re.compile(r"step-\d{8}")
ANY = "any"  # phase
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Board:
    """What an attempt tells the harness, in memory that both have.

    phase: where it is. struck: where it was when the signal was sent, or "". first_step: what it went on from, or -1
    where it has not come so far. counts: of each phase, (entries, events).
    """

    PHASE, STRUCK, FIRST_STEP, COUNTS = range(4)  # places in `numbers`

    def __init__(self):
        self.numbers = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("i")
        self.numbers[self.STRUCK] = self.numbers[self.FIRST_STEP] = -1

    @property
    def phase(self) -> str:
        return PHASES[self.numbers[self.PHASE]]

    @property
    def struck(self) -> str:
        return PHASES[self.numbers[self.STRUCK]] if self.numbers[self.STRUCK] >= 0 else ""

    @property
    def first_step(self) -> int:
        return self.numbers[self.FIRST_STEP]

    def counts(self, phase: str) -> tuple[int, int]:
        place = self.COUNTS + 2 * PHASES.index(phase)
        return self.numbers[place], self.numbers[place + 1]

    def enter(self, phase: str) -> None:
        self.back_to(phase)
        self.numbers[self.COUNTS + 2 * PHASES.index(phase)] += 1

    def back_to(self, phase: str) -> None:
        self.numbers[self.PHASE] = PHASES.index(phase)

    def note_event(self) -> None:
        self.numbers[self.COUNTS + 2 * self.numbers[self.PHASE] + 1] += 1

    def strike(self) -> None:
        self.numbers[self.STRUCK] = self.numbers[self.PHASE]


@dataclass(frozen=True)
class Blow:
    """The signal that ends an attempt: after a time, from outside, or at an event in a phase, from inside.

    seconds: since the start. phase, event: the event-th change of the file system in this phase, or in ANY.
    """

    signal: signal.Signals
    seconds: float | None = None
    phase: str = ANY
    event: int = 0

    def is_due(self, board: Board) -> bool:
        """Whether the event that was noted last is the one."""
        if self.seconds is not None or self.phase not in (ANY, board.phase):
            return False
        counted = PHASES if self.phase == ANY else (self.phase,)
        return sum(board.counts(phase)[1] for phase in counted) == self.event

    def __str__(self) -> str:
        where = f"after {self.seconds:.2f} s" if self.seconds is not None else f"event {self.event} of {self.phase}"
        return f"{self.signal.name} {where}"


class Watch:
    """Tells the board what the process does, counts its events, and deals the blow just before the one it waits for.

    An event is the beginning or end of a phase, or a change of the run folder that Python makes.
    """

    def __init__(self, run: Path, blow: Blow | None, board: Board):
        self.root, self.blow, self.board = str(run), blow, board
        self.own = -1  # the process that is watched

    def event(self) -> None:
        self.board.note_event()
        if self.blow is not None and self.blow.is_due(self.board):
            self.board.strike()
            os.kill(self.own, self.blow.signal)

    def audit(self, event: str, args: tuple) -> None:
        """A hook for sys.addaudithook."""
        if os.getpid() != self.own or not _changes(self.root, event, args):  # loading processes have it too
            return
        self.event()
        if self.board.phase == "saving" and event == "os.rename" and WHOLE.fullmatch(os.path.basename(args[1])):
            self.board.enter(ROTATING)

    def told(self, plain, phase: str):
        """The function `plain`, which is a phase; but after the end of training everything is the ending."""

        def wrapped(*args, **kwargs):
            before = self.board.phase
            if before == "ending":
                return plain(*args, **kwargs)
            self.board.enter(phase)
            self.event()
            try:
                return plain(*args, **kwargs)
            finally:
                self.event()
                self.board.back_to(before)

        return wrapped

    def then(self, plain, phase: str):
        """The function `plain`, after which a phase begins."""

        def wrapped(*args, **kwargs):
            result = plain(*args, **kwargs)
            self.board.enter(phase)
            return result

        return wrapped


class Begun(TrainerCallback):
    def __init__(self, board: Board):
        self.board = board

    def on_train_begin(self, args, state, control, **kwargs):
        self.board.numbers[Board.FIRST_STEP] = state.global_step


def attempt(argv: list[str], run: Path, blow: Blow | None, log: Path) -> tuple[int, Board]:
    """train_main.main(argv), which writes to `run`, until its end or the blow; its exit code and what it told."""
    board = Board()
    child = Child(lambda: _main(argv, Watch(run, blow, board)), log)
    if blow is not None and blow.seconds is not None and not child.ended_within(blow.seconds):
        board.strike()
        child.send(blow.signal)
    return child.wait(), board


def _main(argv: list[str], watch: Watch) -> int:
    watch.own = os.getpid()
    sys.stdout.reconfigure(line_buffering=True)
    sys.addaudithook(watch.audit)
    with ExitStack() as stack:
        for phase, (owner, name) in WRAPPED.items():
            stack.enter_context(mock.patch.object(owner, name, watch.told(getattr(owner, name), phase)))
        # Between these two a signal is heard: it ends training with a checkpoint.
        for name, phase in (("__enter__", "training"), ("__exit__", "ending")):
            stack.enter_context(mock.patch.object(Interruption, name, watch.then(getattr(Interruption, name), phase)))
        return train_main.main(argv, callbacks=[Begun(watch.board)])


def _changes(root: str, event: str, args: tuple) -> bool:
    if event == "open":
        path, mode, flags = args
        return _is_inside(root, path) and bool((flags or 0) & WRITES)
    # shutil.rmtree names what it removes by an open folder and a bare name.
    return event in CHANGES and (_is_inside(root, args[0]) or not os.path.isabs(os.fspath(args[0])))


def _is_inside(root: str, path) -> bool:
    return not isinstance(path, int) and os.fsdecode(path).startswith(root)
