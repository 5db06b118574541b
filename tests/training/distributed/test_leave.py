"""The end of a process, in one of its own."""

import os
import subprocess
import sys

import pytest

from testing.small_runs import ROOT

# With a thread that never ends, and something to be done at the end.
BUSY = """
import atexit, sys, threading
from data_pipeline.batching.stall_watchdog import Stalled
from training.distributed.leave import leave
atexit.register(print, "tidied")
threading.Thread(target=threading.Event().wait).start()
Stalled.happened = sys.argv[1] == "stalled"
print("said", end=" ")
leave(3)
"""
IDLE = "from training.distributed.leave import leave; print('said'); leave(3)"


def end_of(program: str, ranks: int, *arguments: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WORLD_SIZE": str(ranks)}
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_exit_code_and_what_was_said_come_out(ranks):
    assert end_of(IDLE, ranks) == (3, "said\n")


def test_a_rank_does_not_wait_for_its_threads_but_tidies_up():
    assert end_of(BUSY, 2, "well") == (3, "said tidied\n")


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_source_that_stalled_keeps_nothing(ranks):
    assert end_of(BUSY, ranks, "stalled") == (3, "said ")
