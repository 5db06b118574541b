"""A rank of ranks.py:  python -m benchmarks.speed.loop.ranked OUT SIZE STEPS REDUCE CORE   (by torchrun, or alone)

Takes the core CORE + its rank, trains on the batches that its rank has, and writes OUT/core-N.json. REDUCE 0 leaves the
gradients' all-reduce out, and all else as it is. In the end it also times that all-reduce alone.
"""

import json
import os
import statistics
import sys
import time
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from benchmarks.speed.loop.goya import goya
from benchmarks.speed.loop_speed import recorded
from training.distributed.leave import leave

REDUCES = 10  # times that the all-reduce is timed alone
RANK, RANKS = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


class Unreduced(DistributedDataParallel):
    """Each rank keeps the gradients that it has."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_comm_hook(None, as_it_is)


def as_it_is(_, bucket: torch.distributed.GradBucket) -> torch.futures.Future[Tensor]:
    done = torch.futures.Future()
    done.set_result(bucket.buffer())
    return done


def main(out: str, size: str, steps: int, reduce: bool, core: int) -> None:
    os.sched_setaffinity(0, [sorted(os.sched_getaffinity(0))[core + RANK]])
    torch.set_num_threads(1)
    job = recorded(size, steps, rank=RANK, ranks=RANKS)
    kind = DistributedDataParallel if reduce else Unreduced
    with mock.patch("torch.nn.parallel.DistributedDataParallel", kind):
        found = {"seconds_a_step": goya(job)}
    if RANKS > 1:
        found["all_reduce_s"] = all_reduce_s(job)
    (Path(out) / f"core-{core + RANK}.json").write_text(json.dumps(found), encoding="utf-8")


def all_reduce_s(job) -> float:
    """Median seconds of one sum over the ranks of as many floats as the model has parameters."""
    from modeling.model import GoyaForTextToSpeech

    floats = torch.zeros(sum(one.numel() for one in GoyaForTextToSpeech(job.model).parameters()))
    times = []
    for _ in range(REDUCES):
        torch.distributed.barrier()
        started = time.perf_counter()
        torch.distributed.all_reduce(floats)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "1", int(sys.argv[5]))
    leave(0)  # gloo's threads would abort the process
