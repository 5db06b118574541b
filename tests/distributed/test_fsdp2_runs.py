"""Whole runs with weights and optimizer split between ranks: DDP's curve, and checkpoints that any number can load."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import training.export
from data_pipeline.errors import UserError
from inference.pretrained import load
from modeling.model import GoyaForTextToSpeech
from testing import small_runs
from testing.small_runs import SMALL, launch, losses, newest, scalars, train

pytestmark = pytest.mark.slow

SHARDED = small_runs.ROOT / "testing" / "distributed" / "fsdp2_on_cpu.py"
PLAIN = Path(__file__).with_name("train_ranks.py")
EVERY = "train.eval_every=2 checkpoint.every_steps=2 checkpoint.keep=9 train.ema_decay=0.9 log.samples=1"


def arguments(run: Path, steps: int) -> list:
    sets = [word for assignment in EVERY.split() for word in ("--set", assignment)]
    data = ["--train-data", small_runs.corpus(), "--checkpoint-dir", run]
    return [*data, *SMALL, *sets, "--max-steps", str(steps), "--grad-accum", "1", "--device", "auto"]


def train_sharded(run: Path, steps: int, processes: int = 2) -> None:
    done = launch(SHARDED, *arguments(run, steps), processes=processes, config="fsdp2")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]


@pytest.fixture(scope="module")
def sharded(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("sharded") / "run"
    train_sharded(run, 4)
    return run


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("copied") / "run"
    done = launch(PLAIN, *arguments(run, 6), processes=2)
    assert done.returncode == 0, done.stderr[-3000:]
    return run


def test_the_curve_is_that_of_ddp(sharded, copied):
    found, expected = losses(sharded), losses(copied)
    names = [name for name in expected if name.startswith(("loss", "eval_", "grad_norm", "learning_rate"))]
    assert len(names) > 10
    for name in names:
        for step, value in found[name].items():
            assert value == pytest.approx(expected[name][step], rel=1e-4, abs=1e-8), (name, step)


def test_a_checkpoint_is_in_shards_and_best_is_whole(sharded):
    path = newest(sharded)
    for kind in ("model", "optimizer", "average"):
        assert len(list((path / kind).glob("*.safetensors"))) == 2, kind
    assert not (path / "model.safetensors").exists()
    model = GoyaForTextToSpeech.from_pretrained(sharded / "best")
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    assert len(list((sharded / "samples").glob("*.wav"))) == 1


def test_a_resume_is_bit_equal(sharded, tmp_path):
    """Two steps, then two more, against four at once."""
    run = tmp_path / "run"
    train_sharded(run, 2)
    train_sharded(run, 4)
    found, expected = losses(run), losses(sharded)
    assert all(found[name][step] == value for name in found for step, value in expected[name].items())
    small_runs.assert_equal_ends(run, sharded)


@pytest.mark.parametrize("processes", [1, 3])
def test_shards_are_loaded_by_another_number_of_ranks(sharded, copied, tmp_path, processes):
    run = tmp_path / "run"
    shutil.copytree(sharded, run)
    if processes == 1:  # whole again: an ordinary run in one process
        arguments_of_one = arguments(run, 6)
        assert train(*arguments_of_one[3:4], *map(str, arguments_of_one[4:])) == 0
    else:
        train_sharded(run, 6, processes)
    curve = scalars(run)["eval_mel"]
    assert sorted(curve) == [2, 4, 6]
    # Other batches fall into a step, so the curve is like, not equal.
    assert curve[6] == pytest.approx(scalars(copied)["eval_mel"][6], rel=0.05)


def test_an_export_is_one_file_that_speaks(sharded, tmp_path):
    path = newest(sharded)
    with pytest.raises(UserError, match="holds its weights in shards. Make them whole: python -m training.export"):
        load(str(path))
    assert training.export.main([str(path), str(tmp_path / "whole"), "--training-weights"]) == 0
    model = GoyaForTextToSpeech.from_pretrained(tmp_path / "whole")
    expected = load_file(tmp_path / "whole" / "model.safetensors")
    assert [name for name, weight in model.state_dict().items() if not torch.equal(weight, expected[name])] == []
    shards = [load_file(shard) for shard in sorted((path / "model").glob("*.safetensors"))]
    assert set(expected) == set().union(*shards)
    for name, weight in expected.items():
        parts = [shard[name] for shard in shards if name in shard]
        assert torch.equal(torch.cat(parts), weight), name
