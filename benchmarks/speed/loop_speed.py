"""What the loop costs: python -m benchmarks.speed.loop_speed  (pip install lightning coqui-tts-trainer for the rivals)

Steps on recorded batches of the demo corpus by this trainer with everything on that a user has (callbacks, logs, spike
guard, gradient monitor), by a bare loop, by transformers.Trainer, Lightning and coqui's Trainer: same model, batches,
optimizer, clipping and precision, logging each tenth step. Round by round, each in its turn; a figure is the bare
loop's time over a contender's in the same round. A rival that is not installed is left out, and said so.
Prints one table and writes benchmarks/results/loop_speed.json. Wants an idle machine.
"""

import argparse
import contextlib
import io
import os
import statistics
import sys
from importlib.util import find_spec
from itertools import islice

import torch

from benchmarks.harness import command_line
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import origin
from benchmarks.speed.loop.bare import Job, bare
from benchmarks.speed.loop.goya import goya
from benchmarks.speed.loop.rivals import coqui, hf_trainer, lightning
from modeling.configuration import GoyaConfig
from training.config.arguments import parse
from training.setup.inputs import build_inputs

OUT = RESULTS / "loop_speed.json"
# Name -> (what runs it, the package it needs).
CONTENDERS = {
    "bare": (bare, "torch"),
    "goya": (goya, "torch"),
    "hf_trainer": (hf_trainer, "transformers"),
    "lightning": (lightning, "lightning"),
    "coqui": (coqui, "trainer"),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    command_line.add_rounds(parser, 30, OUT)
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    os.chdir(ROOT)
    there = {name: run for name, (run, package) in CONTENDERS.items() if find_spec(package)}
    left_out = [name for name in CONTENDERS if name not in there]
    job = recorded(arguments.size, arguments.steps)
    seconds: dict[str, list[float]] = {name: [] for name in there}
    for number in range(arguments.repeats):
        for name in command_line.in_turn([*there], number):
            torch.set_num_threads(len(os.sched_getaffinity(0)))
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                seconds[name].append(there[name](job))
    results = origin() | {"load": os.getloadavg()[0]}
    results |= {"size": arguments.size, "steps": arguments.steps, "bf16": job.bf16, "left_out": left_out}
    results |= {"seconds_a_step": seconds, "figures": figures(seconds)}
    command_line.write_json(results, arguments.out)
    print(table(results))
    return 0


def recorded(size: str, steps: int, batches: int = 20, *, rank: int = 0, ranks: int = 1) -> Job:
    """The first batches of an epoch, as training has them on this machine."""
    flags = (
        f"--train-data assets/demo_corpus --model-size {size} --init-from none --num-workers 0 --grad-accum 1".split()
    )
    config, _, _ = parse(flags)
    model = GoyaConfig.of_size(size, vocab_size=1000)
    loader = build_inputs(config, model.frames_per_step, rank=rank, world_size=ranks).train
    found = list(islice(loader.epoch(loader.plan.start(0)), batches))
    return Job(found, flags, config, model, steps)


def figures(seconds: dict[str, list[float]]) -> dict:
    """Contender -> share of the bare loop's speed, round by round."""
    found = {}
    for name, each in seconds.items():
        shares = [alone / one for alone, one in zip(seconds["bare"], each, strict=True)]
        found[f"{name}_vs_bare"] = command_line.spread(shares)
    return found


def table(results: dict) -> str:
    lines = [f"{results['machine']}; size {results['size']}, {results['steps']} steps; left out: {results['left_out']}"]
    lines.append(
        f"{'share of the bare loop' + chr(39) + 's speed':<28}{'median':>9}{'least':>9}{'most':>9}{'s a step':>10}"
    )
    for name, each in results["seconds_a_step"].items():
        one = results["figures"][f"{name}_vs_bare"]
        shares = "".join(f"{one[key]:>9.3f}" for key in ("median", "least", "most"))
        lines.append(f"{name:<28}{shares}{statistics.median(each):>10.4f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
