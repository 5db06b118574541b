"""Run on 2 ranks, as DDP or FSDP2: writes, for each split, the gradients, norms and losses of one step.

gradient_ranks.py FOLDER ddp|fsdp2
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from accelerate import Accelerator
from transformers import TrainerControl, TrainerState

from callbacks.gradient_monitor import GradientMonitor
from tests import small_runs
from tests.distributed.splits import KINDS, RANK_SPLITS, SHAPES, batch_of, flat, prepared, step_on
from training.step import clip_gradients

CLIP_NORM = 0.5  # below every norm here


def norms(accelerator: Accelerator, model) -> dict:
    """What the loop sees of gradients: their norm before clipping, after it, and of each part of the model."""
    whole = float(clip_gradients(accelerator, model, CLIP_NORM))
    monitor, raw = GradientMonitor(), accelerator.unwrap_model(model)
    arguments = SimpleNamespace(logging_steps=1)
    monitor.on_pre_optimizer_step(arguments, TrainerState(), TrainerControl(), model=raw, grad_norm=whole)
    return {"whole": whole, "clipped": float(flat(model).norm()), **monitor.norms}


def main(folder: Path, wrapper: str) -> None:
    torch.set_num_threads(1)
    if wrapper == "fsdp2":
        from tests.distributed.fsdp2_on_cpu import assert_sharded
    accelerator = Accelerator(cpu=wrapper == "ddp")
    assert accelerator.num_processes == 2
    rows = small_runs.features()
    for number, (_, ranks) in enumerate(RANK_SPLITS.values()):
        for kind in KINDS:
            batches = [batch_of(rows[low:high]) for low, high in ranks[accelerator.process_index]]
            model = prepared(accelerator)
            if wrapper == "fsdp2":
                assert_sharded(model)
            losses = step_on(accelerator, model, batches, SHAPES[kind])
            found = {"gradients": flat(model), "losses": losses, "norms": norms(accelerator, model)}
            torch.save(found, folder / f"{number}-{kind}-{accelerator.process_index}.pt")
    (folder / f"rank{accelerator.process_index}.json").write_text(json.dumps(accelerator.num_processes))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
