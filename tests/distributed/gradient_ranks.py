"""Run by test_gradients.py on 2 ranks: writes, for each split, the gradients and losses of one step."""

import json
import sys
from pathlib import Path

import torch
from accelerate import Accelerator

from tests import small_runs
from tests.distributed.splits import KINDS, SHAPES, batch_of, gradients

# Utterances, and for each rank the edges of its micro-batches; one without any gets an empty batch.
SPLITS = {
    "2 ranks x 8": (16, [[(0, 8)], [(8, 16)]]),
    "2 ranks x 2 x 4": (16, [[(0, 4), (4, 8)], [(8, 12), (12, 16)]]),
    "2 ranks, odd": (15, [[(0, 5), (5, 8)], [(8, 14), (14, 15)]]),
    "2 ranks, last batch missing": (15, [[(0, 6), (11, 15)], [(6, 11), (0, 0)]]),
}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    accelerator = Accelerator(cpu=True)
    assert accelerator.num_processes == 2
    rows = small_runs.features()
    for number, (_, ranks) in enumerate(SPLITS.values()):
        for kind in KINDS:
            batches = [batch_of(rows[low:high]) for low, high in ranks[accelerator.process_index]]
            found, losses = gradients(accelerator, batches, SHAPES[kind])
            path = folder / f"{number}-{kind}-{accelerator.process_index}.pt"
            torch.save({"gradients": found, "losses": losses}, path)
    (folder / f"rank{accelerator.process_index}.json").write_text(json.dumps(accelerator.num_processes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
