"""Whether and how fast all of it runs on one GPU: python -m benchmarks.speed.gpu_check      (8 minutes at most)

What the device reaches at its best; losses and gradients against float32 on a CPU, in each precision; the alignment's
search and CTC; batches of new shapes; steps of every size; what fits, what a step waits for and is made of; compiled
layers; a step that runs out of memory; speech; a short training. Needs torch, transformers and accelerate, and no
network; of the data's packages only the last part. Parts have a time each, and go on where another fails. On a CPU it
does what a CPU can, at size debug, in about a minute. Prints one table last and writes benchmarks/results/gpu.json.
"""

import argparse
import gc
import math
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.harness import command_line
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import origin
from benchmarks.harness.time_limit import TooLong, time_limit
from benchmarks.speed.gpu import exactness, in_use, speed
from benchmarks.speed.gpu.job import Bench, Skipped, cudnn_attention
from modeling.configuration import SIZES

OUT = RESULTS / "gpu.json"
LIMIT_S = 470


class Part(NamedTuple):
    """Seconds: what it may take at most, and with how few left it is not begun."""

    work: Callable[[Bench, dict], None]
    most_s: int
    least_s: int = 5


# What matters most first.
PARTS = {
    "ceilings": Part(speed.ceilings, 30),
    "agreement": Part(exactness.agreement, 60),
    "alignment": Part(exactness.alignment, 40),
    "steps": Part(speed.steps, 90),
    "new shapes": Part(speed.new_shapes, 60),
    "kernels": Part(speed.kernels, 40),
    "out of memory": Part(in_use.out_of_memory, 40),
    "learning": Part(in_use.made_learning, 40),
    "synthesis": Part(in_use.synthesis, 60),
    "largest batch": Part(in_use.largest_batch, 60),
    "compiled": Part(speed.compiled, 100),
    "convergence": Part(in_use.convergence, 60 * in_use.LEARNING_MINUTES + 60, 60 * in_use.LEARNING_MINUTES + 30),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--device", choices=("cuda", "cpu"), help="(default: cuda where there is one)")
    parser.add_argument("--parts", nargs="+", default=[*PARTS], choices=PARTS, metavar="PART", help="(default: all)")
    parser.add_argument("--limit", type=int, default=LIMIT_S, help="seconds of all parts (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """1 where a part failed."""
    arguments = build_parser().parse_args(argv)
    os.chdir(ROOT)
    bench = the_bench(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    cudnn_attention(False)  # as training and synthesis have it
    results = origin() | {"device": str(bench.device), "torch": torch.__version__, "parts": {}}
    until = time.monotonic() + arguments.limit
    for name in arguments.parts:
        results["parts"][name] = done(PARTS[name], bench, until)
        command_line.write_json(results, arguments.out)  # each time, for whoever ends the process
        print(f"{name}: {results['parts'][name]['seconds']:.1f} s", flush=True)
    print(table(results))
    return int(any("failed" in one for one in results["parts"].values()))


def the_bench(device: str) -> Bench:
    if device == "cuda":
        return Bench(torch.device("cuda", 0), tuple(size for size in SIZES if size != "debug"), 64, 600, 80)
    return Bench(torch.device("cpu"), ("debug",), 2, 60, 12)


def done(part: Part, bench: Bench, until: float) -> dict:
    """Its figures, as far as it came; why it was skipped, or with what it failed; and its seconds."""
    found: dict = {}
    result, started = {"figures": found}, time.monotonic()
    left_s = int(until - started)
    try:
        if left_s < part.least_s:
            raise Skipped(f"{max(0, left_s)} s were left, of the {part.least_s} that it wants")
        with time_limit(min(part.most_s, left_s)):
            part.work(bench, found)
    except Skipped as reason:
        result["skipped"] = str(reason)
    except TooLong:
        result["failed"] = f"not done after {min(part.most_s, left_s)} s"
    except Exception as error:  # any: the parts that follow are to be seen
        traceback.print_exc()
        result["failed"] = f"{type(error).__name__}: {error}"[:1000]
    result["seconds"] = time.monotonic() - started
    gc.collect()
    if bench.is_gpu:
        try:
            torch.cuda.empty_cache()
        except RuntimeError as error:  # a GPU that an earlier fault has left unusable
            result.setdefault("failed", f"{type(error).__name__}: {error}"[:1000])
    return result


def table(results: dict) -> str:
    lines = [f"{results['machine']}; torch {results['torch']}; {results['device']}"]
    for name, one in results["parts"].items():
        lines.append(f"{name} ({one['seconds']:.0f} s)")
        lines += [f"  {label:<62}{shown(value)}" for label, value in one["figures"].items()]
        lines += [f"  {word}: {one[word]}" for word in ("skipped", "failed") if word in one]
    return "\n".join(lines)


def shown(value) -> str:
    if isinstance(value, dict):
        return f"skipped: {value['skipped']}"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:>12.4g}"
    return f"{value!s:>12}"


if __name__ == "__main__":
    sys.exit(main())
