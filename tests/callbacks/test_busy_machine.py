"""Other programs on the machine are seen, by what psutil says of real processes; the run's own are none of them."""

import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from callbacks.busy_machine import BusyMachine

CORES = psutil.cpu_count()
BURN = "while True: pass"
STATE = SimpleNamespace(is_world_process_zero=True)


@pytest.fixture
def strangers():
    """A busy process a core, which the shell leaves to the system: none is this process' child."""
    burning = f"for core in $(seq {CORES}); do {sys.executable} -c '{BURN}' & echo $!; done"
    listed = subprocess.Popen(["sh", "-c", burning], stdout=subprocess.PIPE, text=True)
    found = [psutil.Process(int(listed.stdout.readline())) for _ in range(CORES)]
    listed.wait()
    yield found
    for process in found:
        process.kill()


@pytest.fixture
def own():
    """As many, which this process started, as it starts what loads its data."""
    found = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(CORES)]
    yield [psutil.Process(process.pid) for process in found]
    for process in found:
        process.kill()
        process.wait()


def run(threads: int, processes: list[psutil.Process]) -> tuple[BusyMachine, float]:
    """A run of some seconds, in which these have worked for one in all."""
    noticing, began = BusyMachine(1, threads, window_s=0.0), time.monotonic()
    noticing.on_train_begin(None, STATE, None)
    before = worked(processes)
    while worked(processes) < before + 1.0:
        sum(range(10_000))
    return noticing, time.monotonic() - began


def worked(processes: list[psutil.Process]) -> float:
    return sum(process.cpu_times().user for process in processes)


def test_programs_that_take_the_cores_are_told_of_once(strangers, capsys):
    noticing, _ = run(CORES, strangers)
    noticing.on_step_end(None, STATE, None)
    said = capsys.readouterr().out
    assert "Other programs take" in said and "--set train.cpu_threads=1" in said
    noticing.on_step_end(None, STATE, None)
    assert capsys.readouterr().out == ""


def test_what_the_run_started_is_its_own(own):
    noticing, seconds = run(CORES, own)
    assert noticing.others() * seconds <= CORES * seconds - 1.0 + 0.3  # psutil counts in hundredths, a core at a time
