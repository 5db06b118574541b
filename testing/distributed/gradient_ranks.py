"""Run on 2 ranks, as DDP or FSDP2: writes, for each split, the gradients, norms and losses of one step.

gradient_ranks.py FOLDER ddp|fsdp2
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from transformers import TrainerControl, TrainerState

from callbacks.gradient_monitor import GradientMonitor
from testing import small_runs
from testing.distributed.splits import BF16_SPLIT, KINDS, RANK_SPLITS, SHAPES, batch_of, flat, prepared, step_on
from training.config.arguments import parse
from training.distributed.leave import leave
from training.loop.step import clip_gradients
from training.setup.building import build_accelerator

CLIP_NORM = 0.5  # below every norm here


def norms(accelerator: Accelerator, model) -> dict:
    """What the loop sees of gradients: their norm before clipping, after it, and of each part of the model."""
    whole = float(clip_gradients(accelerator, model, CLIP_NORM))
    monitor, raw = GradientMonitor(), accelerator.unwrap_model(model)
    arguments = SimpleNamespace(logging_steps=1)
    monitor.on_pre_optimizer_step(arguments, TrainerState(), TrainerControl(), model=raw, grad_norm=whole)
    return {"whole": whole, "clipped": float(flat(model).norm()), **monitor.norms}


def accelerator_of(wrapper: str, precision: str) -> Accelerator:
    """The one of a run. The process group of the one before stays."""
    AcceleratorState._reset_state()
    if wrapper == "fsdp2" and PartialState._shared_state:
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU  # to be made FSDP again
    device = "cpu" if wrapper == "ddp" else "auto"
    config, _, _ = parse(["--device", device, "--mixed-precision", precision, "--tracker", "none"])
    accelerator = build_accelerator(config)
    assert accelerator.num_processes == 2 and accelerator.mixed_precision == precision
    torch.set_num_threads(1)
    return accelerator


def write(path: Path, accelerator: Accelerator, split: str, kind: str, wrapper: str) -> None:
    """One step on this rank's part of a split, to a file."""
    rows, edges = small_runs.features(), RANK_SPLITS[split][1][accelerator.process_index]
    model = prepared(accelerator)
    if wrapper == "fsdp2":
        from testing.distributed.fsdp2_on_cpu import assert_sharded

        assert_sharded(model)
    losses = step_on(accelerator, model, [batch_of(rows[low:high]) for low, high in edges], SHAPES[kind])
    torch.save({"gradients": flat(model), "losses": losses, "norms": norms(accelerator, model)}, path)


def main(folder: Path, wrapper: str) -> None:
    if wrapper == "fsdp2":
        import testing.distributed.fsdp2_on_cpu  # noqa: F401
    accelerator = accelerator_of(wrapper, "no")
    rank = accelerator.process_index
    for number, split in enumerate(RANK_SPLITS):
        for kind in KINDS:
            write(folder / f"{number}-{kind}-{rank}.pt", accelerator, split, kind, wrapper)
    write(folder / f"bf16-{rank}.pt", accelerator_of(wrapper, "bf16"), *BF16_SPLIT, wrapper)
    (folder / f"rank{rank}.json").write_text(json.dumps(accelerator.num_processes))
    leave(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
