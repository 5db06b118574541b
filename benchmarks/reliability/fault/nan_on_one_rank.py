"""train_main.py on several ranks, one of which has a gradient that is not a number in one step.

    nan_on_one_rank.py FOLDER [train_main's arguments]

Each rank writes rank<number>.json into FOLDER: whether its weights are finite at the end, and their sum.
"""

import json
import math
import os
import sys
from pathlib import Path

import torch
from transformers import TrainerCallback

import train_main
from training.distributed.leave import leave

STEP, RANK = 3, 1


class BrokenGradient(TrainerCallback):
    def __init__(self, rank: int, folder: Path):
        self.rank, self.folder, self.handle = rank, folder, None

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        if state.global_step + 1 == STEP and self.rank == RANK:
            parameter = next(iter(model.parameters()))
            self.handle = parameter.register_hook(lambda gradient: gradient * math.nan)

    def on_step_end(self, args, state, control, **kwargs):
        if self.handle is not None:
            self.handle.remove()

    def on_train_end(self, args, state, control, model=None, **kwargs):
        weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
        seen = {"finite": bool(weights.isfinite().all()), "sum": float(weights.double().sum())}
        (self.folder / f"rank{self.rank}.json").write_text(json.dumps(seen), encoding="utf-8")


def main(folder: str, *argv: str) -> int:
    return train_main.main(argv, callbacks=[BrokenGradient(int(os.environ["RANK"]), Path(folder))])


if __name__ == "__main__":
    leave(main(*sys.argv[1:]))
