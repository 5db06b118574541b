"""A whole run on two ranks over gloo: the same curve as on one with twice the accumulation, and resumable on either."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.plan import Plan
from testing import small_runs
from testing.small_runs import ROOT, SMALL, launch, losses, newest, scalars, train

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("train_ranks.py")


def arguments(run: Path, steps: int) -> list:
    return [
        "--train-data",
        small_runs.corpus(),
        "--checkpoint-dir",
        run,
        *SMALL,
        "--max-steps",
        str(steps),
        "--set",
        "train.eval_every=3",
    ]


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("ranks") / "run"
    done = launch(SCRIPT, *arguments(run, 6), "--grad-accum", "1", processes=2)
    assert done.returncode == 0, done.stderr[-3000:]
    return run


def test_two_ranks_train_as_one_with_twice_the_accumulation(two_ranks, tmp_path, monkeypatch):
    # Batches of similar length stay together for the ranks of a step; alone, for its micro-batches.
    monkeypatch.setattr(Plan, "start", lambda self, epoch: Cursor(epoch=epoch, group=2))
    assert train(tmp_path / "run", "--max-steps", "6", "--set", "train.eval_every=3") == 0
    found, expected = losses(two_ranks), losses(tmp_path / "run")
    names = [name for name in expected if name.startswith(("loss", "eval_", "grad_norm", "weight", "learning_rate"))]
    assert len(names) > 10
    for name in names:
        assert found[name] == pytest.approx(expected[name], rel=1e-5, abs=1e-9), name


def machine(rank: int, port: int, *arguments) -> subprocess.Popen:
    """One of two machines with one process each, on loopback."""
    config = ROOT / "accelerate_configs" / "multi_node.yaml"
    flags = f"--num_processes 2 --machine_rank {rank} --main_process_ip 127.0.0.1 --main_process_port {port}"
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--config_file", config]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    words = [str(word) for word in (*command, *flags.split(), SCRIPT, *arguments)]
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def files(run: Path) -> list[str]:
    """Of a run folder, without what TensorBoard takes from the clock for their names."""
    return sorted(re.sub(r"\d{9,}\..*", "", str(path.relative_to(run))) for path in run.rglob("*"))


def test_two_machines_train_as_one_with_two_processes(two_ranks, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = tmp_path / "run"
    machines = [machine(rank, port, *arguments(run, 6), "--grad-accum", "1") for rank in (0, 1)]
    try:
        said = [one.communicate(timeout=120) for one in machines]
    finally:
        for one in machines:
            one.kill()
    assert [one.returncode for one in machines] == [0, 0], said
    assert [("Ended after 6 steps" in out) for out, _ in said] == [True, False]
    assert losses(run) == losses(two_ranks)
    assert files(run) == files(two_ranks)


def test_both_ranks_leave_their_state_and_one_resumes_alone(two_ranks):
    names = {path.name for path in newest(two_ranks).iterdir()}
    assert {"random_state_0.json", "random_state_1.json", "model.safetensors", "training_state.json"} <= names
    assert train(two_ranks, "--max-steps", "10", "--set", "train.eval_every=3") == 0
    assert sorted(scalars(two_ranks)["loss"]) == list(range(1, 11))
    saved = json.loads((newest(two_ranks) / "training_state.json").read_text())
    assert saved["cursor"]["epoch"] == 2 and saved["trainer"]["global_step"] == 10
