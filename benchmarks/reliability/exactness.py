"""Exact on any number of ranks, and unbreakable, measured: python -m benchmarks.reliability.exactness

Four things, each a command of its own too: the gradients of each split against float64
(testing/distributed/gradient_errors.py), the plan of the demo corpus on 1, 2 and 3 ranks, resumed on each other number
at every step, runs that are killed (crashes.py, the longest), and faults (faults.py). Prints one table and writes
benchmarks/results/exactness.json. Exit code 1 where anything was not as it must be. Linux only.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from unittest import mock

import pyarrow.parquet

import data_pipeline.batching.plan
from benchmarks.harness.places import DEMO, RESULTS, ROOT
from benchmarks.harness.provenance import origin
from benchmarks.report import page_block
from training.config.arguments import parse
from training.setup.inputs import build_inputs

OUT = RESULTS / "exactness.json"
RANKS, GRAD_ACCUM, EPOCHS = (1, 2, 3), 2, 3
LARGEST_ERROR = 1e-6
FRAMES_PER_STEP = 2


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--kills", type=int, default=200, help="by SIGKILL, at least (default: %(default)s)")
    parser.add_argument("--crashes", help="take the figures of this json of crashes.py instead of killing anew")
    parser.add_argument("--docs", action="store_true", help="only put the figures of --out into docs/measured.md")
    parser.add_argument("--out", default=str(OUT), help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if arguments.docs:
        found = json.loads(Path(arguments.out).read_text(encoding="utf-8"))
        page_block.put("exactness", page_block.quoted(found, "exactness", block))
        return 0
    figures = {"max_relative_gradient_error": gradient_errors(), "ranks": list(RANKS)}
    figures |= plan_figures()
    figures |= crash_figures(arguments.crashes, arguments.kills)
    figures["faults"] = faults()
    results = origin() | {"figures": figures}
    Path(arguments.out).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(figures))
    return int(not is_as_it_must_be(figures))


def written_by(module: str, *arguments: str) -> dict:
    """What a module, run, writes to the json file whose name is put at the end; its output goes to the screen."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        subprocess.run(
            [sys.executable, "-m", module, *arguments, str(out)], cwd=ROOT
        )  # its exit code is in what it writes
        if not out.is_file():
            raise RuntimeError(f"{module} wrote nothing")
        return json.loads(out.read_text(encoding="utf-8"))


def gradient_errors() -> dict[str, float]:
    return written_by("testing.distributed.gradient_errors")


def crash_figures(taken: str | None, kills: int) -> dict:
    if taken:
        found = json.loads(Path(taken).read_text(encoding="utf-8"))
    else:
        found = written_by("benchmarks.reliability.crashes", "--kills", str(kills), "--out")
    wanted = ("kills", "sigterms", "resumes", "resumes_bit_equal", "checkpoints_unreadable")
    return {name: found["figures"][name] for name in wanted} | {"crashes_commit": found["commit"]}


def faults() -> dict[str, str]:
    return written_by("benchmarks.reliability.faults", "--out")


# The plan


def plan_figures() -> dict[str, int]:
    """Utterances lost and repeated, over all epochs, numbers of ranks and places of resuming."""
    lost = repeated = tried = 0
    with mock.patch.object(data_pipeline.batching.plan, "duration_s", durations_kept()):
        corpus = Counter(demo_ids())
        for seen in (*whole_epochs(), *resumed_epochs()):
            lost += (corpus - seen).total()
            repeated += (seen - corpus).total()
            tried += 1
    return {
        "plans_tried": tried,
        "utterances": corpus.total(),
        "utterances_lost": lost,
        "utterances_repeated": repeated,
    }


def demo_ids() -> list[str]:
    """Of the training rows, straight from the files."""
    tables = [pyarrow.parquet.read_table(path, columns=["id"]) for path in sorted(DEMO.glob("train-*.parquet"))]
    return [name for table in tables for name in table["id"].to_pylist()]


def durations_kept():
    """duration_s that opens each recording once: the same corpus is planned hundreds of times here."""
    plain, kept = data_pipeline.batching.plan.duration_s, {}

    def duration_s(audio, *, name):
        if name not in kept:
            kept[name] = plain(audio, name=name)
        return kept[name]

    return duration_s


@cache
def plan(rank: int, world: int) -> data_pipeline.batching.plan.Plan:
    arguments = ["--train-data", str(DEMO), "--batch-size", "16", "--grad-accum", str(GRAD_ACCUM)]
    config, _, _ = parse([*arguments, "--model-size", "debug", "--device", "cpu", "--num-workers", "0"])
    return build_inputs(config, FRAMES_PER_STEP, rank, world).train.plan


def epoch(world: int, cursor: data_pipeline.batching.plan.Cursor) -> list[list]:
    """Each rank's micro-batches from a place to the end of its epoch, without what is in them but ids."""
    ranks = [[(ids(batch), batch) for batch in plan(rank, world).epoch(cursor)] for rank in range(world)]
    ends = [[(batch.ends_step, batch.ends_epoch, batch.after) for _, batch in rank] for rank in ranks]
    assert all(one == ends[0] for one in ends), f"the {world} ranks do not march in step"
    return ranks


def ids(batch) -> list[str]:
    return [entry.id for entry in batch.entries]


def seen_in(ranks: list[list]) -> Counter:
    return Counter(name for rank in ranks for names, _ in rank for name in names)


def whole_epochs() -> Iterator[Counter]:
    for world, number in product(RANKS, range(EPOCHS)):
        yield Counter(
            name for rank in epoch(world, plan(0, world).start(number)) for names, _ in rank for name in names
        )


def resumed_epochs() -> Iterator[Counter]:
    """What is seen in an epoch that goes on, after each of its steps, on each other number of ranks."""
    for world in RANKS:
        ranks = epoch(world, plan(0, world).start(0))
        seen: Counter = Counter()
        for index, (_, batch) in enumerate(ranks[0][:-1]):
            seen.update(name for rank in ranks for name in rank[index][0])
            if batch.ends_step:
                for other in RANKS:
                    yield seen + seen_in(epoch(other, batch.after))


# What was found


def is_as_it_must_be(figures: dict) -> bool:
    none = ("utterances_lost", "utterances_repeated", "checkpoints_unreadable")
    return (
        max(figures["max_relative_gradient_error"].values()) < LARGEST_ERROR
        and not any(figures[name] for name in none)
        and figures["resumes"] == figures["resumes_bit_equal"]
        and not any(outcome.startswith("not handled") for outcome in figures["faults"].values())
    )


def table(figures: dict) -> str:
    errors = figures["max_relative_gradient_error"]
    lines = [f"{'gradients: ' + split:<56}{error:>10.1e}" for split, error in errors.items()]
    plain = [(name, value) for name, value in figures.items() if isinstance(value, int)]
    lines += [f"{name.replace('_', ' '):<56}{value:>10}" for name, value in plain]
    lines += [f"{name}: {outcome}" for name, outcome in figures["faults"].items()]
    return "\n".join(lines)


def block(results: dict) -> str:
    """What docs/measured.md shows."""
    figures, faults = results["figures"], results["figures"]["faults"]
    worst = max(figures["max_relative_gradient_error"].values())
    handled = sum(not outcome.startswith("not handled") for outcome in faults.values())
    splits, plans = len(figures["max_relative_gradient_error"]), figures["plans_tried"]
    lines = [
        (f"gradient of {splits} splits (micro-batches, DDP, FSDP2) against float64, largest error", f"{worst:.1e}"),
        (f"utterances lost, repeated ({plans} epochs resumed on 1, 2, 3 processes)",
         f"{figures['utterances_lost']}, {figures['utterances_repeated']}"),
        ("ends by SIGKILL, by SIGTERM, at random moments", f"{figures['kills']}, {figures['sigterms']}"),
        ("resumes bit-equal to the unbroken run", f"{figures['resumes_bit_equal']} of {figures['resumes']}"),
        ("checkpoints unreadable after them", str(figures["checkpoints_unreadable"])),
        ("faults with the end a user would want", f"{handled} of {len(faults)}"),
    ]  # fmt: skip
    said = f"`python -m benchmarks.reliability.exactness`. {page_block.source(results, 'exactness')}"
    return f"{said}\n\n{page_block.rows(lines)}"


if __name__ == "__main__":
    sys.exit(main())
