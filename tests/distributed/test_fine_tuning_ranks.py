"""Adapters and frozen parts on two ranks, copied (DDP) and split (FSDP2): the same curve, model and resume."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import training.export
from testing import small_runs
from testing.small_runs import launch, losses, newest
from tests.test_fine_tuning import base, tune, tuning

pytestmark = pytest.mark.slow

pytest.importorskip("peft", reason='needs the extra: pip install -e ".[lora]"')
SHARDED = small_runs.ROOT / "testing" / "distributed" / "fsdp2_on_cpu.py"
PLAIN = Path(__file__).with_name("train_ranks.py")
PARTS = ["--lora-rank", "4", "--lr", "1e-2", "--freeze", "text_encoder"]  # of which only new tokens train


def tune_on_two(run: Path, wrapper: str, steps: int = 4) -> Path:
    words = [*tuning(run), "--max-steps", str(steps), "--grad-accum", "1", *PARTS]
    if wrapper == "fsdp2":
        done = launch(SHARDED, *words, "--device", "auto", processes=2, config="fsdp2")
    else:
        done = launch(PLAIN, *words, processes=2)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return run


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> Path:
    return tune_on_two(tmp_path_factory.mktemp("split") / "run", "fsdp2")


def test_split_weights_give_the_curve_and_the_model_of_copied_ones(split, tmp_path):
    copied = tune_on_two(tmp_path / "copied", "ddp")
    found, expected = losses(split), losses(copied)
    names = [name for name in expected if name.startswith(("loss", "eval_", "grad_norm"))]
    assert len(names) > 8
    for name in names:
        assert found[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-8), name
    started, one, other = (load_file(run / "best" / "model.safetensors") for run in (base(), split, copied))
    assert started.keys() == one.keys() == other.keys()
    for name, weight in one.items():
        torch.testing.assert_close(weight, other[name], rtol=1e-3, atol=1e-4)
        adapted = name.startswith("decoder.layers.") and "norm" not in name
        assert torch.equal(weight[: len(started[name])], started[name]) != adapted, name


def test_shards_are_exported_with_their_adapters_merged(split, tmp_path):
    assert training.export.main([str(newest(split)), str(tmp_path / "exported")]) == 0
    exported = load_file(tmp_path / "exported" / "model.safetensors")
    for name, weight in load_file(split / "best" / "model.safetensors").items():  # the last evaluation was the best
        torch.testing.assert_close(weight, exported[name])


def test_split_adapters_resume_bit_equal_and_go_on_in_one_process(split, tmp_path):
    tune_on_two(tmp_path / "run", "fsdp2", steps=2)
    small_runs.assert_equal_ends(tune_on_two(tmp_path / "run", "fsdp2"), split)
    assert tune(tmp_path / "run", *PARTS, steps=5) == 0
