"""One of two ranks ends in the midst of a run: the other says so and ends too, under a launcher and without one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from testing import small_runs
from testing.small_runs import ROOT, SMALL, newest, scalars

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("dying_ranks.py")
MARK = "GOYA_TEST_RUN"  # in the environment of each process of a run, and of those that they start
ACCELERATE = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--config_file"]
CPU_2PROC = ROOT / "accelerate_configs" / "cpu_2proc.yaml"


def arguments(run: Path) -> list:
    data = ["--train-data", small_runs.corpus(), "--checkpoint-dir", run, *SMALL, "--grad-accum", "1"]
    every = "train.eval_every=8 checkpoint.every_steps=2".split()
    return [*data, "--num-workers", "1", "--max-steps", "8", *(word for one in every for word in ("--set", one))]


def start(run: Path, *command, **environment: str) -> subprocess.Popen:
    given = {**os.environ, "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true", MARK: str(run), **environment}
    words = [*map(str, command)]
    return subprocess.Popen(words, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def under_accelerate(run: Path, *what) -> list[subprocess.Popen]:
    return [start(run, *ACCELERATE, CPU_2PROC, SCRIPT, *what, *arguments(run))]


def as_srun_starts_them(run: Path, *what) -> list[subprocess.Popen]:
    """With environment variables only: nobody watches over the ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    command = [sys.executable, SCRIPT, *what, *arguments(run)]
    return [start(run, *command, **meeting, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in (0, 1)]


def ended(processes: list[subprocess.Popen], run: Path) -> tuple[list[int], list[str]]:
    """Exit codes and what was said on stderr; nothing of the run is left."""
    try:
        said = [process.communicate(timeout=120)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    left = [process for process in psutil.process_iter() if is_of(process, run)]
    assert psutil.wait_procs(left, timeout=30)[1] == [], "a process is left"
    return [process.returncode for process in processes], said


def is_of(process: psutil.Process, run: Path) -> bool:
    try:
        return process.environ().get(MARK) == str(run)
    except psutil.Error:  # ended meanwhile, or another user's
        return False


def assert_resumes(run: Path) -> None:
    """The same command, without the blow, ends well and leaves no step out."""
    assert newest(run).name == "step-00000002"
    assert ended(under_accelerate(run, "killed", "0", "0"), run)[0] == [0]
    assert newest(run).name == "step-00000008"
    assert sorted(scalars(run)["loss"]) == list(range(1, 9))


def test_a_killed_rank_ends_the_run_under_accelerate_and_it_resumes(tmp_path):
    codes, (said,) = ended(under_accelerate(tmp_path / "run", "killed", "1", "3"), tmp_path / "run")
    assert codes == [1]
    assert "error: Rank 0 lost another process of this run" in said and "Signal 9 (SIGKILL)" in said
    assert "[rank0]: Traceback" not in said
    assert_resumes(tmp_path / "run")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_the_other_that_nobody_watches(rank, tmp_path):
    run = tmp_path / "run"
    codes, said = ended(as_srun_starts_them(run, "killed", str(rank), "3"), run)
    survivor = 1 - rank
    assert (codes[rank], codes[survivor]) == (-9, 1)
    (message,) = [line for line in said[survivor].splitlines() if line.startswith("error: ")]
    assert f"Rank {survivor} lost another process of this run (" in message
    assert f"The same command goes on from the newest checkpoint in {run}/checkpoints." in message
    assert "Traceback" not in said[survivor] and "gloo" not in message


def test_a_mistake_that_one_rank_sees_ends_both(tmp_path):
    codes, said = ended(as_srun_starts_them(tmp_path / "run", "failed", "1", "3"), tmp_path / "run")
    assert codes == [1, 2]
    assert "error: Only rank 1 sees this." in said[1] and "error: Rank 0 lost another process" in said[0]
    assert "Traceback" not in "".join(said)
