"""The ways to start a run beside accelerate's own files: torchrun, accelerate config's file, a notebook, SLURM."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate.utils import write_basic_config

from testing import small_runs
from testing.small_runs import ROOT, SMALL, newest

pytestmark = pytest.mark.slow

ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "1",
    "ACCELERATE_USE_CPU": "true",
    "CUDA_VISIBLE_DEVICES": "",
}
NOTEBOOK = """
from accelerate import notebook_launcher
import train_main
notebook_launcher(train_main.main, ({arguments!r},), num_processes={processes}, use_port="{port}")
print("the next cell")
"""
# Stand-ins for SLURM's commands: of one machine, whose tasks are the processes of srun.
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do echo "$1" >> "$ASKED"; shift; done
export SLURM_NODEID=0
exec "$@"
"""
SCONTROL = '#!/bin/bash\nif [ "$1" = show ]; then echo 127.0.0.1; else echo "$@" > "$REQUEUED"; fi\n'
JOB = {
    "SLURM_JOB_NUM_NODES": "1",
    "SLURM_GPUS_ON_NODE": "2",
    "SLURM_JOB_NODELIST": "here",
    "SLURM_JOB_ID": str(os.getpid()),
    "SLURM_CPUS_PER_TASK": "7",
}


def arguments(run: Path, steps: int = 2) -> list[str]:
    words = ["--train-data", small_runs.corpus(), "--checkpoint-dir", run, *SMALL, "--grad-accum", 1]
    return [str(word) for word in (*words, "--max-steps", steps)]


def ran(*command: str, **more: str) -> str:
    """What it said."""
    environment = {**os.environ, **ENVIRONMENT, **more}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def ranks(run: Path) -> int:
    """Of the run that wrote its newest checkpoint: each leaves its random states."""
    return len(list(newest(run).glob("random_state_*.json")))


def test_torchrun_starts_two_ranks(tmp_path):
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ran(*start, "train_main.py", *arguments(tmp_path / "run"))
    assert ranks(tmp_path / "run") == 2


def test_the_file_that_accelerate_config_writes_is_enough(tmp_path):
    write_basic_config(save_location=str(tmp_path / "default_config.yaml"))
    start = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
    ran(*start, "--config_file", str(tmp_path / "default_config.yaml"), "train_main.py", *arguments(tmp_path / "run"))
    assert ranks(tmp_path / "run") == 1


@pytest.mark.parametrize("processes", [1, 2])
def test_a_notebook_s_cell_starts_a_run_and_goes_on(processes, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cell = NOTEBOOK.format(arguments=arguments(tmp_path / "run"), processes=processes, port=port)
    said = ran(sys.executable, "-c", cell)
    assert said.endswith("the next cell\n")
    assert ranks(tmp_path / "run") == processes


@pytest.fixture
def slurm(tmp_path) -> dict[str, str]:
    """A job's environment."""
    for name, content in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(content)
        (tmp_path / "bin" / name).chmod(0o755)
    path = os.pathsep.join([str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    told = {"REQUEUED": str(tmp_path / "requeued"), "ASKED": str(tmp_path / "asked")}
    return {**os.environ, **ENVIRONMENT, **JOB, **told, "PATH": path}


def test_a_slurm_job_whose_time_is_over_goes_back_into_the_queue_and_on(tmp_path, slurm):
    script, run = ["bash", "accelerate_configs/slurm.sbatch"], tmp_path / "run"
    with subprocess.Popen(
        [*script, *arguments(run, 10_000)], env=slurm, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as job:
        assert any(line.startswith("step 1/") for line in job.stdout)
        job.send_signal(signal.SIGUSR1)
        job.stdout.read()
    assert job.returncode == 0
    assert (tmp_path / "requeued").read_text().split() == ["requeue", JOB["SLURM_JOB_ID"]]
    assert "--cpus-per-task=7" in (tmp_path / "asked").read_text().split()
    reached = int(newest(run).name.removeprefix("step-"))
    assert 1 <= reached < 10_000 and ranks(run) == 2
    done = subprocess.run(
        [*script, *arguments(run, reached + 2)], env=slurm, cwd=ROOT, stdout=subprocess.PIPE, timeout=120
    )
    assert done.returncode == 0
    report = json.loads((run / "report.json").read_text())
    assert report["result"]["steps"] == reached + 2 and ranks(run) == 2
