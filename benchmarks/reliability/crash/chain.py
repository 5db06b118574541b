"""One run, killed and resumed until it reaches its end, and what was seen on the way."""

import json
import random
import shutil
import signal
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import monotonic

from benchmarks.reliability.crash.attempt import ANY, PHASES, Blow, Board, attempt
from benchmarks.reliability.crash.checks import check_equal, check_readable, step_of, whole_checkpoints
from benchmarks.reliability.crash.forked import call
from testing import small_runs

TIME = "time"
# What a blow is aimed at, in turn: half come from outside, at any moment, and half at an event inside.
AIMS = (TIME, "saving", TIME, "rotating", TIME, "best", TIME, "evaluating", TIME, ANY)
MOST_ATTEMPTS = 100  # of one run; more means that it does not advance
ENTRIES = 2  # an event is drawn from those of the first two times that its phase is entered
SMALLEST = "--model-size debug --device cpu --mixed-precision no --batch-size 4 --grad-accum 2"
# Samples every two seconds, so that runs of some seconds speak too.
OFTEN = (
    "optim.warmup_steps=2 optim.first_period_steps=4 log.every_steps=1 log.samples=1 log.samples_every_minutes=0.03 "
    "log.quality_sentences=0 train.eval_every=2 train.cpu_threads=1 loss.adaptive_every_steps=2"
)
START_STEPS = 2  # of the model that runs start from, where they start from one


@dataclass(frozen=True)
class Setting:
    """work: the folder of everything. words: of the combination. aims: of the blows, in turn; see AIMS."""

    work: Path
    steps: int
    seed: int
    words: tuple[str, ...] = ()
    aims: tuple[str, ...] = AIMS

    @property
    def unbroken(self) -> Path:
        return self.work / "unbroken" / "run"

    @property
    def corpus(self) -> Path:
        return self.work / "corpus"

    @property
    def start(self) -> Path:
        return self.work / "start"

    def arguments(self, run: Path, every: int, keep: int, workers: int) -> list[str]:
        """Of train_main. every: steps between checkpoints."""
        words = [word.format(start=self.start / "best", corpus=self.corpus) for word in self.words]
        length = [] if "--epochs" in words else ["--max-steps", str(self.steps)]
        return [*self._shared(run, every, keep), "--num-workers", str(workers), *length, *words]

    def starting_arguments(self) -> list[str]:
        """Of a run whose model others start from."""
        return [*self._shared(self.start, START_STEPS, 1), "--num-workers", "0", "--max-steps", str(START_STEPS)]

    def _shared(self, run: Path, every: int, keep: int) -> list[str]:
        sets = f"{OFTEN} checkpoint.every_steps={every} checkpoint.keep={keep}".split()
        data = ["--train-data", str(self.corpus), "--checkpoint-dir", str(run)]
        return [*data, *SMALLEST.split(), *(word for one in sets for word in ("--set", one))]


@dataclass(frozen=True)
class Unbroken:
    """Of the run without a blow: its seconds, and for each phase, or ANY, the last event that a blow may wait for."""

    seconds: float
    most_events: dict[str, int]


def unbroken_run(setting: Setting, of: dict) -> Unbroken:
    """Make the corpus and the run that the others are compared with, unless they are there already.

    of: what it is a run of; the harness goes on only with the same. Raises ValueError for another.
    """
    facts = setting.work / "unbroken" / "facts.json"
    if not facts.is_file():
        facts.parent.mkdir(parents=True, exist_ok=True)
        log, run = facts.with_name("log.txt"), setting.unbroken
        code = call(lambda: make_corpus(setting.corpus), log)
        if code == 0 and "{start}" in setting.words:
            code, _ = attempt(setting.starting_arguments(), setting.start, None, log)
        started = monotonic()
        if code == 0:
            code, board = attempt(setting.arguments(run, every=1, keep=2, workers=0), run, None, log)
        if code != 0:
            raise RuntimeError(f"the unbroken run ended with exit code {code}:\n{log.read_text()[-3000:]}")
        found = {"of": of, "seconds": monotonic() - started, "most_events": _most_events(board)}
        facts.write_text(json.dumps(found), encoding="utf-8")
    found = json.loads(facts.read_text(encoding="utf-8"))
    if found["of"] != of:
        raise ValueError(f"{setting.work} holds runs of {found['of']}, not of {of}; give another --work")
    never = {*setting.aims} - {TIME, *found["most_events"]}
    if never:
        raise RuntimeError(f"the unbroken run never was {', '.join(never)}, so that no blow can be aimed there")
    return Unbroken(found["seconds"], found["most_events"])


def make_corpus(path: Path) -> int:
    """The small corpus of the tests, where it outlives the process that made it."""
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(small_runs.corpus(), path)
    small_runs.folder.holder.cleanup()
    return 0


def _most_events(board: Board) -> dict[str, int]:
    counts = {phase: board.counts(phase) for phase in PHASES}
    most = {phase: round(ENTRIES * events / entries) for phase, (entries, events) in counts.items() if entries}
    return most | {ANY: sum(events for _, events in counts.values()) // 3}


class Chain:
    """The attempts at one run.

    Args:
        number: of the run; with the seed it decides what is drawn.
        name: SIGKILL or SIGTERM.
        record: a function that keeps what was seen, a dict, so that it outlives the harness.
        so_far: the attempts at this run before the harness was interrupted.
    """

    def __init__(self, setting: Setting, unbroken: Unbroken, number: int, name: str, record, so_far: int = 0):
        self.setting, self.unbroken, self.number, self.record, self.so_far = setting, unbroken, number, record, so_far
        self.signal = signal.Signals[name]
        self.folder = setting.work / f"{name.lower()}-{number:04d}"
        self.run, self.log = self.folder / "run", self.folder / "log.txt"
        drawn = random.Random(f"{setting.seed} {name} {number}")
        self.every, self.keep = drawn.choice((1, 2)), drawn.choice((2, 3))

    def to_the_end(self, enough) -> None:
        """Attempts until one ends by itself, without blows once `enough()`; then the comparison."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for number in count(self.so_far):
            seen = self._attempt(number, None if enough() else self._blow(number))
            self.record({"kind": "attempt", **seen})
            if seen["wrong"] or seen["code"] == 0:
                break
            if number - self.so_far > MOST_ATTEMPTS:
                raise RuntimeError(f"{self.run} does not advance; see {self.log}")
        equal = not seen["wrong"] and call(lambda: check_equal(self.run, self.setting.unbroken), self.log) == 0
        self.record({"kind": "end", "run": self.number, "signal": self.signal.name, "bit_equal": equal})
        if equal:
            shutil.rmtree(self.folder)

    def _draw(self, attempt: int) -> random.Random:
        return random.Random(f"{self.setting.seed} {self.signal.name} {self.number} {attempt}")

    def _blow(self, number: int) -> Blow:
        drawn, aims = self._draw(number), self.setting.aims
        aim = aims[(self.number + number) % len(aims)]
        if aim == TIME:
            return Blow(self.signal, seconds=drawn.uniform(0, self.unbroken.seconds / 2))
        return Blow(self.signal, phase=aim, event=drawn.randint(1, self.unbroken.most_events[aim]))

    def _attempt(self, number: int, blow: Blow | None) -> dict:
        """One start of train_main and all that is checked after it. "wrong": what should not be, or nothing."""
        step_before, best_before = self._found()
        workers = self._draw(number).choice((0, 1, 2))
        arguments = self.setting.arguments(self.run, self.every, self.keep, workers)
        said_before = self.log.stat().st_size if self.log.is_file() else 0
        code, board = attempt(arguments, self.run, blow, self.log)
        said = self.log.read_bytes()[said_before:].decode(errors="replace")
        step, best = self._found()
        folders = [*whole_checkpoints(self.run), *([self.run / "best"] if best else [])]
        unreadable = self._unreadable(folders)
        wrong = {
            f"exit code {code}, {board.struck or 'not'} struck": code not in self._expected(board, blow),
            f"went on from step {board.first_step}, not {step_before}": board.first_step not in (-1, step_before),
            f"the newest checkpoint is of step {step}, was {step_before}": step < step_before,
            "a checkpoint was found damaged": "is damaged" in said,
            f"unreadable: {', '.join(unreadable)}": bool(unreadable),
        }
        return {
            "run": self.number,
            "attempt": number,
            "signal": self.signal.name,
            "blow": str(blow or "none"),
            "phase": board.struck,
            "code": code,
            "from": step_before,
            "newest": step,
            "workers": workers,
            "read": len(folders),
            "unreadable": len(unreadable),
            "best_missing": best_before and not best,
            "wrong": [what for what, is_so in wrong.items() if is_so],
        }

    def _unreadable(self, folders: list[Path]) -> list[str]:
        """The names of those that do not load. One by one only where something does not: each is a process."""
        if call(lambda: check_readable(folders), self.log) == 0:
            return []
        return [path.name for path in folders if call(lambda path=path: check_readable([path]), self.log) != 0]

    def _found(self) -> tuple[int, bool]:
        """(step of the newest checkpoint, or 0; whether there is a best one)."""
        checkpoints = whole_checkpoints(self.run)
        return step_of(checkpoints[-1]) if checkpoints else 0, (self.run / "best").is_dir()

    def _expected(self, board: Board, blow: Blow | None) -> set[int]:
        """The exit codes that the blow, or its absence, explains."""
        if blow is None:
            return {0}
        if self.signal == signal.SIGKILL:
            return {0, -signal.SIGKILL}
        # While it starts and after its end nobody listens, and nothing is lost.
        ends_at_once = {-signal.SIGTERM} if {board.phase, board.struck} & {"starting", "ending"} else set()
        return {0, 128 + signal.SIGTERM} | ends_at_once
