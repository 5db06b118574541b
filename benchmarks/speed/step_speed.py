"""What a step of training takes against this project's first version: python -m benchmarks.speed.step_speed

Forward, losses, backward, clipping and optimizer of size tiny on one thread, on the same recorded batches of the demo
corpus: as they were in FIRST (git keeps it), and as they are. Each time in a process of its own, in turn. Seconds are
of the process' processor time. Prints one table and writes benchmarks/results/step_speed.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.harness import command_line
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import origin
from benchmarks.speed.loop_speed import recorded
from data_pipeline.errors import UserError, tell

OUT = RESULTS / "step_speed.json"
WORKER = Path(__file__).with_name("loop") / "stepped.py"
FIRST = "df2bbed"  # the first commit whose model trained and was tested
THEN, NOW = "the first version", "now"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    command_line.add_rounds(parser, 60, OUT)
    parser.add_argument("--first", default=FIRST, help="the commit of the first version (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as scratch:
        try:
            checkouts = {THEN: unpacked(arguments.first, Path(scratch)), NOW: ROOT}
        except UserError as error:
            tell(error)
            return 2
        job = recorded(arguments.size, arguments.steps)
        batches = Path(scratch) / "batches.pt"
        torch.save([batch.tensors for batch in job.batches], batches)
        words = [str(batches), arguments.size, str(arguments.steps), str(int(job.bf16))]
        rounds = [one_round(number, checkouts, words) for number in range(arguments.repeats)]
    results = origin() | {"first": arguments.first, "bf16": job.bf16}
    results |= {"size": arguments.size, "steps": arguments.steps, "rounds": rounds, "figures": figures(rounds)}
    command_line.write_json(results, arguments.out)
    print(table(results))
    return 0


def unpacked(revision: str, scratch: Path) -> Path:
    """The tree of a commit, without a work tree of git's own. Raises UserError where git does not have it."""
    folder, archive = scratch / "first", scratch / "first.tar"
    folder.mkdir()
    done = subprocess.run(["git", "archive", "-o", archive, revision], cwd=ROOT, text=True, capture_output=True)
    if done.returncode:
        raise UserError(
            f"git has no commit {revision} here ({done.stderr.strip()}). Expected a clone with its whole history: "
            "git fetch --unshallow brings it, and --first names another commit."
        )
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    return folder


def one_round(number: int, checkouts: dict[str, Path], words: list[str]) -> dict[str, dict]:
    """Contender -> what its process found."""
    return {name: stepped(checkouts[name], words) for name in command_line.in_turn([*checkouts], number)}


def stepped(checkout: Path, words: list[str]) -> dict:
    """What the worker, of this checkout as a file, found of the modules of `checkout`."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(checkout)}
    command = [sys.executable, str(WORKER), *words]
    done = subprocess.run(command, cwd=checkout, env=environment, text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def figures(rounds: list[dict]) -> dict:
    """Ratios within each round: of speed, and of the mean loss of the last ten steps."""
    each = {
        "step_vs_first": [one[THEN]["seconds_a_step"] / one[NOW]["seconds_a_step"] for one in rounds],
        "loss_vs_first": [last_loss(one[NOW]) / last_loss(one[THEN]) for one in rounds],
    }
    return {name: command_line.spread(found) for name, found in each.items()}


def last_loss(found: dict) -> float:
    return statistics.mean(found["losses"][-10:])


def table(results: dict) -> str:
    title = f"{results['machine']}; size {results['size']}, {results['steps']} steps, first: {results['first']}"
    return "\n".join([title, *command_line.spread_lines(results["figures"], results["rounds"])])


if __name__ == "__main__":
    sys.exit(main())
