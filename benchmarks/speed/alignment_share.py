"""What the alignment search costs of a training step: python -m benchmarks.speed.alignment_share

Size tiny on the demo corpus' own batches, forward, backward and AdamW; the search is timed inside the same steps.
Prints one table and writes benchmarks/results/alignment_share.json.
"""

import argparse
import itertools
import statistics
import sys
import time
from pathlib import Path

import torch

from benchmarks.harness.command_line import write_json
from benchmarks.harness.places import RESULTS
from benchmarks.harness.provenance import origin
from modeling import model as model_module
from training.config.arguments import parse
from training.loop.step import LossWeights, forward_backward
from training.setup.building import build_accelerator, build_model, loss_shape
from training.setup.inputs import build_inputs
from training.setup.optimizer import build_optimizer

REPEATS, STEPS = 5, 10
OUT = RESULTS / "alignment_share.json"


class Stopwatch:
    """Wraps a function and adds up the seconds spent in it."""

    def __init__(self, function):
        self.function, self.seconds = function, 0.0

    def __call__(self, *args):
        started = time.perf_counter()
        result = self.function(*args)
        self.seconds += time.perf_counter() - started
        return result


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--out", type=Path, default=OUT, help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    flags = "--tracker none --num-workers 0 --device cpu --model-size tiny --init-from none"
    config, _, _ = parse(flags.split())
    accelerator = build_accelerator(config)
    torch.manual_seed(config.train.seed)
    model, _ = build_model(config)
    model, optimizer = accelerator.prepare(model, build_optimizer(model, config.optim, accelerator.device))
    loader = build_inputs(config, model.config.frames_per_step, 0, 1).train
    stream = loader.epoch(loader.plan.start(1))  # the second epoch, whose batches are in drawn order
    batches = list(itertools.islice(stream, (REPEATS + 1) * STEPS))
    shape, weights = loss_shape(config, model.config.frames_per_step), LossWeights({"mel": 22.0, "alignment": 1.0})
    watch = model_module.monotonic_search = Stopwatch(model_module.monotonic_search)
    shares, steps_s = [], []
    for repeat in range(REPEATS + 1):  # the first is a warm-up
        watch.seconds, started = 0.0, time.perf_counter()
        for batch in batches[repeat * STEPS : (repeat + 1) * STEPS]:
            forward_backward(accelerator, model, [batch], weights, shape)
            optimizer.step()
            optimizer.zero_grad()
        seconds = time.perf_counter() - started
        if repeat:
            shares.append(watch.seconds / seconds)
            steps_s.append(seconds / STEPS)
    report(shares, steps_s, arguments.out)
    return 0


def report(shares: list[float], steps_s: list[float], out: Path) -> None:
    result = origin() | {
        "figures": {
            "alignment_share": statistics.median(shares),
            "alignment_share_range": [min(shares), max(shares)],
            "step_s": statistics.median(steps_s),
        },
        "repeats": {"alignment_share": shares, "step_s": steps_s},
    }
    write_json(result, out)
    print(f"{'alignment search, share of a step':<36}{'median':>8}{'least':>8}{'most':>8}")
    figures = f"{statistics.median(shares):>8.1%}{min(shares):>8.1%}{max(shares):>8.1%}"
    print(f"{'tiny, batches of 8, demo corpus':<36}{figures}")


if __name__ == "__main__":
    sys.exit(main())
