"""What a second rank brings on one CPU: python -m benchmarks.speed.ranks

This trainer as the command runs it, on recorded batches of the demo corpus: one rank; two ranks under
DistributedDataParallel over gloo; two ranks that leave the gradients' all-reduce out, which tells how much of it the
backward pass hides; and one rank beside another that knows nothing of it, which tells what two of them take from one
another by sharing the machine's memory. Each rank has one core and one thread. Round by round, each in its turn.
Needs two idle cores. Prints one table and writes benchmarks/results/ranks.json.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import command_line
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import origin
from data_pipeline.errors import UserError, tell

OUT = RESULTS / "ranks.json"
RANKED = "benchmarks.speed.loop.ranked"
ALONE, TOGETHER, UNREDUCED, BESIDE = "one rank", "two ranks", "two ranks, no all-reduce", "two runs of one rank"
TORCHRUN = "-m torch.distributed.run --nproc-per-node 2 --rdzv-backend c10d --rdzv-endpoint localhost:0".split()
# Figure -> what a reader is told.
SHOWN = {
    "ranks_2_vs_1": "steps a second times ranks, two over one",
    "two_runs_vs_1": "the same of two runs that know nothing of one another",
    "all_reduce_ms": "the gradients' all-reduce alone, ms",
    "all_reduce_shown_ms": "what it adds to a step, ms",
    "all_reduce_hidden": "share of it that the backward pass hides",
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    command_line.add_rounds(parser, 30, OUT)
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if len(os.sched_getaffinity(0)) < 2:
        tell(UserError("One core may be used here; expected two, one for each rank."))
        return 2
    rounds = [one_round(number, arguments.size, arguments.steps) for number in range(arguments.repeats)]
    results = origin() | {"load": os.getloadavg()[0]}
    results |= {"size": arguments.size, "steps": arguments.steps, "rounds": rounds, "figures": figures(rounds)}
    command_line.write_json(results, arguments.out)
    print(table(results))
    return 0


def one_round(number: int, size: str, steps: int) -> dict[str, dict[str, float]]:
    """Contender -> what the slower of its ranks took."""
    ways = command_line.in_turn([ALONE, TOGETHER, UNREDUCED, BESIDE], number)
    return {way: measured(way, size, steps) for way in ways}


def measured(way: str, size: str, steps: int) -> dict[str, float]:
    """Seconds a step of the slower rank, and of the all-reduce alone where there is one."""
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as out:
        launcher = TORCHRUN if way in (TOGETHER, UNREDUCED) else ()
        words = [sys.executable, *launcher, "-m", RANKED, out, size, str(steps), str(int(way != UNREDUCED))]
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        cores = ("0", "1") if way == BESIDE else ("0",)
        runs = [subprocess.Popen([*words, core], cwd=ROOT, env=environment, **pipes) for core in cores]
        ends = [(run.communicate()[1], run.returncode) for run in runs]
        failed = [said for said, code in ends if code]
        if failed:
            raise RuntimeError(f"{way} failed:\n{failed[0][-3000:]}")
        found = [command_line.read_json(path) for path in sorted(Path(out).glob("core-*.json"))]
    return {name: max(one[name] for one in found) for name in found[0]}


def figures(rounds: list[dict]) -> dict:
    """Figure -> median, least and most over the rounds, each within its round."""
    found: dict[str, list[float]] = {name: [] for name in SHOWN}
    for one in rounds:
        seconds = {way: values["seconds_a_step"] for way, values in one.items()}
        reduce_s, shown_s = one[TOGETHER]["all_reduce_s"], seconds[TOGETHER] - seconds[UNREDUCED]
        found["ranks_2_vs_1"].append(2 * seconds[ALONE] / seconds[TOGETHER])
        found["two_runs_vs_1"].append(2 * seconds[ALONE] / seconds[BESIDE])
        found["all_reduce_ms"].append(1000 * reduce_s)
        found["all_reduce_shown_ms"].append(1000 * shown_s)
        found["all_reduce_hidden"].append(1 - shown_s / reduce_s)
    return {name: command_line.spread(each) for name, each in found.items()}


def table(results: dict) -> str:
    title = f"{results['machine']}; size {results['size']}, {results['steps']} steps, {len(results['rounds'])} rounds"
    said = {label: results["figures"][name] for name, label in SHOWN.items()}
    return "\n".join([title, *command_line.spread_lines(said, results["rounds"])])


if __name__ == "__main__":
    sys.exit(main())
