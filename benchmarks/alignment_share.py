"""What the alignment search costs of a training step: python benchmarks/alignment_share.py

Size tiny on the demo corpus' own batches, forward, backward and AdamW; the search is timed inside the same steps.
Prints one table and writes benchmarks/results/alignment_share.json.
"""

import itertools
import json
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a script's own folder is on the path, its parent is not

import torch  # noqa: E402

from benchmarks.provenance import origin  # noqa: E402
from modeling import model as model_module  # noqa: E402
from training.config.arguments import parse  # noqa: E402
from training.loop.step import LossWeights, forward_backward  # noqa: E402
from training.setup.building import build_accelerator, build_model, loss_shape  # noqa: E402
from training.setup.inputs import build_inputs  # noqa: E402
from training.setup.optimizer import build_optimizer  # noqa: E402

REPEATS, STEPS = 5, 10
RESULTS = ROOT / "benchmarks" / "results" / "alignment_share.json"


class Stopwatch:
    """Wraps a function and adds up the seconds spent in it."""

    def __init__(self, function):
        self.function, self.seconds = function, 0.0

    def __call__(self, *args):
        started = time.perf_counter()
        result = self.function(*args)
        self.seconds += time.perf_counter() - started
        return result


def main() -> int:
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
    report(shares, steps_s)
    return 0


def report(shares: list[float], steps_s: list[float]) -> None:
    result = origin() | {
        "figures": {
            "alignment_share": statistics.median(shares),
            "alignment_share_range": [min(shares), max(shares)],
            "step_s": statistics.median(steps_s),
        },
        "repeats": {"alignment_share": shares, "step_s": steps_s},
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{'alignment search, share of a step':<36}{'median':>8}{'least':>8}{'most':>8}")
    figures = f"{statistics.median(shares):>8.1%}{min(shares):>8.1%}{max(shares):>8.1%}"
    print(f"{'tiny, batches of 8, demo corpus':<36}{figures}")


if __name__ == "__main__":
    sys.exit(main())
