"""How far the gradients of each split are from one batch in float64:  python -m testing.distributed.gradient_errors OUT

Writes {split: largest relative error over the kinds of loss} to the file OUT, and prints it as a table.
"""

import itertools
import json
import sys
import tempfile
from pathlib import Path

import torch
from accelerate import Accelerator

from testing import small_runs
from testing.distributed.splits import (
    COUNTS,
    CUTS,
    KINDS,
    RANK_SPLITS,
    SHAPES,
    WRAPPERS,
    cut_into_batches,
    gradients,
    relative_error,
)

BF16 = "bf16"
Found = dict[tuple[str, str], tuple[dict, dict]]  # split and kind, or twice BF16 -> what rank 0 and rank 1 found


def run_ranks(folder: Path, wrapper: str) -> Found:
    """Launch gradient_ranks.py on two ranks, as "ddp" or "fsdp2"; its files go to `folder`."""
    script = Path(__file__).with_name("gradient_ranks.py")
    config = None if wrapper == "ddp" else wrapper
    done = small_runs.launch(script, folder, wrapper, processes=2, config=config)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [path.read_text() for path in sorted(folder.glob("rank*.json"))] == ["2", "2"]
    names = {(split, kind): f"{number}-{kind}" for number, split in enumerate(RANK_SPLITS) for kind in KINDS}
    names[BF16, BF16] = BF16
    return {
        key: tuple(torch.load(folder / f"{name}-{rank}.pt", weights_only=True) for rank in (0, 1))
        for key, name in names.items()
    }


def max_relative_gradient_error() -> dict[str, float]:
    """For every split of one process, of two under DDP and of two under FSDP2, the worst over the kinds of loss."""
    return _of_one_process() | _of_two_ranks()


def _of_one_process() -> dict[str, float]:
    small_runs.forget_accelerator()
    accelerator, errors = Accelerator(cpu=True), {}
    for count in COUNTS:
        for cuts in CUTS:
            found = [(kind, gradients(accelerator, cut_into_batches(count, cuts), SHAPES[kind])[0]) for kind in KINDS]
            errors[f"{count} utterances, cut at {cuts}"] = max(relative_error(it, count, kind) for kind, it in found)
    return errors


def _of_two_ranks() -> dict[str, float]:
    errors: dict[str, float] = {}
    for wrapper in WRAPPERS:
        with tempfile.TemporaryDirectory() as folder:
            found = run_ranks(Path(folder), wrapper)
            for split, kind in itertools.product(RANK_SPLITS, KINDS):
                first, _ = found[split, kind]
                error = relative_error(first["gradients"], RANK_SPLITS[split][0], kind)
                errors[f"{wrapper}, {split}"] = max(error, errors.get(f"{wrapper}, {split}", 0.0))
    return errors


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = max_relative_gradient_error()
    Path(sys.argv[1]).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print("\n".join(f"{error:.1e}  {split}" for split, error in found.items()))
