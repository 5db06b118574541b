"""Tests of a copy of the tree, in a process forked from one that has imported what they want: a second, not ten.

The parent imports libraries only, and nothing of this repository that a mutant may be in.
"""

import gc
import os
import resource
import signal
import sys
import tempfile
from pathlib import Path

from benchmarks.harness.places import ROOT

# The first three for what reads them when it is imported. Nothing is kept compiled: of two mutants of one size and one
# second Python would take the one for the other.
os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", PYTHONDONTWRITEBYTECODE="1")
sys.dont_write_bytecode = True

import torch  # noqa: E402

torch.set_num_threads(1)

import datasets  # noqa: E402, F401
import matplotlib.figure  # noqa: E402, F401
import pytest  # noqa: E402
import torch.distributed.checkpoint  # noqa: E402, F401
import torchaudio  # noqa: E402, F401
from accelerate import Accelerator  # noqa: E402, F401
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402, F401
from transformers import EarlyStoppingCallback, PreTrainedModel, ProcessorMixin  # noqa: E402, F401

from benchmarks.reliability.crash.child import Child  # noqa: E402

LONGEST_S = 1800  # by the clock: of what waits and computes nothing
HANGS = -1


class Tests:
    """Runs tests in `tree`; what they print is added to `log`, and what they write goes to a folder that is deleted."""

    def __init__(self, tree: Path, log: Path):
        self.tree, self.log = tree, log
        gc.freeze()  # else each child's collector writes to all that was imported, which copies it: most of its time
        self.cpu_s: dict[tuple[str, ...], float] = {}  # of tests without a mutant

    def end(self, file: str, text: str, tests: tuple[str, ...]) -> str:
        """How tests end with `text` in a file's place: "killed" where they fail, "hangs", or "survived".

        Raises RuntimeError where they fail without.
        """
        if tests not in self.cpu_s:
            began_s = _cpu_s()
            if self._run(tests, LONGEST_S):
                raise RuntimeError(f"Without any mutant there is a failure in python -m pytest {' '.join(tests)}")
            self.cpu_s[tests] = _cpu_s() - began_s
        path = self.tree / file
        before = path.read_text(encoding="utf-8")
        path.write_text(text, encoding="utf-8")
        try:
            code = self._run(tests, round(30 + 4 * self.cpu_s[tests]))
        finally:
            path.write_text(before, encoding="utf-8")
        return {0: "survived", HANGS: "hangs"}.get(code, "killed")

    def _run(self, tests: tuple[str, ...], most_cpu_s: int) -> int:
        """pytest's exit code. The limit is on the processor's time: a machine that others use too is no mutant."""
        with tempfile.TemporaryDirectory(prefix="goya-mutant-") as folder:

            def run() -> int:
                os.environ["TMPDIR"] = tempfile.tempdir = folder
                resource.setrlimit(resource.RLIMIT_CPU, (most_cpu_s, most_cpu_s))
                os.chdir(self.tree)
                _forget_this_tree()
                return int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests]))

            try:
                code = Child(run, self.log).wait(LONGEST_S)
            except TimeoutError:
                return HANGS
            return HANGS if code in (-signal.SIGXCPU, -signal.SIGKILL) else code


def _cpu_s() -> float:
    """Of all children so far, and theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _forget_this_tree() -> None:
    """So that whatever is imported is the copy's."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != ROOT]
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name != "__main__" and file is not None and Path(file).is_relative_to(ROOT):
            del sys.modules[name]
