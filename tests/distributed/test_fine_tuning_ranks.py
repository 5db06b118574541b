"""Fine-tuning with frozen parts and adapters on two ranks, copied (DDP) and split (FSDP2): as on one."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import training.export
from tests import small_runs
from tests.small_runs import launch, losses, newest
from tests.test_fine_tuning import base, tune, tuning

SHARDED = Path(__file__).with_name("fsdp2_on_cpu.py")
PLAIN = Path(__file__).with_name("train_ranks.py")
KINDS = {"freeze": ["--freeze", "text_encoder,voice_encoder"], "lora": ["--lora-rank", "4", "--lr", "1e-2"]}


def tune_on_two(run: Path, kind: str, wrapper: str, steps: int = 4) -> Path:
    words = [*tuning(run), "--max-steps", str(steps), "--grad-accum", "1", *KINDS[kind]]
    if wrapper == "fsdp2":
        done = launch(SHARDED, *words, "--device", "auto", processes=2, config="fsdp2")
    else:
        done = launch(PLAIN, *words, processes=2)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return run


@pytest.mark.parametrize("kind", KINDS)
def test_two_ranks_are_alike_copied_or_split_and_resume_bit_equal(kind, tmp_path):
    if kind == "lora":
        pytest.importorskip("peft", reason='needs the extra: pip install -e ".[lora]"')
    copied = tune_on_two(tmp_path / "copied", kind, "ddp")
    split = tune_on_two(tmp_path / "split", kind, "fsdp2")
    found, expected = losses(split), losses(copied)
    names = [name for name in expected if name.startswith(("loss", "eval_", "grad_norm"))]
    assert len(names) > 8
    for name in names:
        assert found[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-8), name
    check_best(split, copied, kind)
    again = tune_on_two(tmp_path / "again", kind, "fsdp2", steps=2)
    small_runs.assert_equal_ends(tune_on_two(again, kind, "fsdp2"), split)
    # What is split on two goes on whole on one.
    assert tune(split, *KINDS[kind], steps=5) == 0


def check_best(split: Path, copied: Path, kind: str) -> None:
    """The same best model, whole; what is frozen as it was; the export of the shards is the average's, as best is."""
    started, one, other = (load_file(run / "best" / "model.safetensors") for run in (base(), split, copied))
    assert started.keys() == one.keys() == other.keys()
    for name, weight in one.items():
        torch.testing.assert_close(weight, other[name], rtol=1e-3, atol=1e-4)
        if name.startswith("voice_encoder."):
            assert torch.equal(weight, started[name]), name
    matrix = "decoder.layers.0.attention.qkv.weight"
    assert not torch.equal(one[matrix], started[matrix])
    assert training.export.main([str(newest(split)), str(split / "exported")]) == 0
    exported = load_file(split / "exported" / "model.safetensors")
    for name, weight in one.items():
        torch.testing.assert_close(weight, exported[name])
