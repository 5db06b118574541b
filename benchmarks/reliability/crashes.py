"""A run killed at random moments again and again ends as if nothing had been: python -m benchmarks.reliability.crashes

A small run of real speech, with a checkpoint every step or two, is ended by SIGKILL, or by SIGTERM, and resumed until
it reaches its end; with each combination of features in crash/combinations.py, or those that --with names. After each
blow every checkpoint must load, the next start must go on from the newest one, and the end must be bit-equal to that
of a run without a blow. Half of the blows come from outside at random times, half from inside at an event of the file
system, so that saving, rotating and replacing the best checkpoint are hit. Every attempt is written down at once
(attempts.jsonl in --work); the same command goes on from there. Linux only.

Prints one table and writes benchmarks/results/crashes.json. Exit code 1 where anything was not as it must be.
"""

import argparse
import json
import math
import sys
from collections import Counter
from functools import partial
from pathlib import Path

from benchmarks.reliability.crash.forked import Child  # first: it sets what libraries read when they are imported

# isort: split

from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import commit, origin
from benchmarks.reliability.crash.attempt import PHASES
from benchmarks.reliability.crash.chain import AIMS, Chain, Setting, Unbroken, unbroken_run
from benchmarks.reliability.crash.combinations import COMBINATIONS

LONGEST_S = 12 * 3600.0  # of everything
OUT = RESULTS / "crashes.json"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--kills", type=int, default=500, help="at least so many by SIGKILL (default: %(default)s)")
    parser.add_argument("--sigterms", type=int, default=48, help="the same for SIGTERM (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=12, help="optimizer steps of a run (default: %(default)s)")
    parser.add_argument(
        "--with",
        nargs="+",
        choices=COMBINATIONS,
        default=[*COMBINATIONS],
        dest="combinations",
        metavar="NAME",
        help="combinations, among which the blows are shared out (default: all)",
    )
    parser.add_argument("--aim", nargs="+", choices=sorted({*AIMS}), default=AIMS, help="of the blows, in turn")
    parser.add_argument("--lanes", type=int, default=2, help="runs side by side (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    parser.add_argument("--work", default=str(ROOT / "runs" / "crashes"), help="folder of the runs")
    parser.add_argument("--out", default=str(OUT), help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    of = {"commit": commit(), "steps": arguments.steps, "seed": arguments.seed}
    found = {name: killed(name, arguments, of) for name in arguments.combinations}
    records = [{"with": name, **record} for name, (_, all_of_it) in found.items() for record in all_of_it]
    by_combination = {name: figures_of(all_of_it) for name, (_, all_of_it) in found.items()}
    figures = figures_of(records) | {"combinations": len(found)}
    results = {**origin(), **of, "figures": figures, "by_combination": by_combination}
    Path(arguments.out).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(table(figures))
    for record in records:
        for what in record.get("wrong", []):
            print(f"{record['with']}, run {record['run']}, attempt {record['attempt']}, {record['blow']}: {what}")
        if record["kind"] == "end" and not record["bit_equal"]:
            print(f"{record['with']}, run {record['run']}, {record['signal']}: another end")
    return int(any(code for code, _ in found.values()) or not is_as_it_must_be(figures))


def killed(name: str, arguments: argparse.Namespace, of: dict) -> tuple[int, list[dict]]:
    """(whether a lane failed, the records) of one combination's share of the blows, in a folder of its own."""
    work = Path(arguments.work).resolve() / name.replace(" ", "_").replace(",", "")
    setting = Setting(work, arguments.steps, arguments.seed, COMBINATIONS[name], tuple(arguments.aim))
    work.mkdir(parents=True, exist_ok=True)
    unbroken = unbroken_run(setting, of)
    journal, share = Journal(work / "attempts.jsonl"), len(arguments.combinations)
    wanted = {"SIGKILL": math.ceil(arguments.kills / share), "SIGTERM": math.ceil(arguments.sigterms / share)}
    lanes = [
        Child(partial(run_lane, setting, unbroken, journal, wanted, lane, arguments.lanes), work / "lanes.txt")
        for lane in range(arguments.lanes)
    ]
    codes = [lane.wait(longest_s=LONGEST_S) for lane in lanes]
    if any(codes):
        print(f"{name}:\n{(work / 'lanes.txt').read_text(encoding='utf-8')[-3000:]}", file=sys.stderr)
    return int(any(codes)), journal.read()


class Journal:
    """A file to which each record is appended as a line of JSON, by several processes."""

    def __init__(self, path: Path):
        self.path = path

    def add(self, record: dict) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def read(self) -> list[dict]:
        if not self.path.is_file():
            return []
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]


def run_lane(
    setting: Setting, unbroken: Unbroken, journal: Journal, wanted: dict[str, int], lane: int, lanes: int
) -> int:
    """Every `lanes`-th run, until there are enough blows of each signal. Goes on with one that was interrupted."""
    for name, number_wanted in wanted.items():
        number = lane
        while True:
            past = [one for one in journal.read() if (one["signal"], one["run"]) == (name, number)]
            is_begun, is_ended = bool(past), any(one["kind"] == "end" for one in past)
            if blows(journal.read(), name) >= number_wanted and (is_ended or not is_begun):
                break
            if not is_ended:
                chain = Chain(setting, unbroken, number, name, journal.add, so_far=len(past))
                chain.to_the_end(lambda name=name, most=number_wanted: blows(journal.read(), name) >= most)
            number += lanes
    return 0


def blows(records: list[dict], name: str) -> int:
    """How many attempts the signal ended."""
    return len(ended_by(records, name))


def ended_by(records: list[dict], name: str) -> list[dict]:
    attempts = [one for one in records if one["kind"] == "attempt" and one["signal"] == name]
    return [one for one in attempts if one["phase"] and one["code"] != 0]


def figures_of(records: list[dict]) -> dict:
    """What the records say, in numbers."""
    attempts = [one for one in records if one["kind"] == "attempt"]
    ends = [one for one in records if one["kind"] == "end"]
    equal = {_run_of(one) for one in ends if one["bit_equal"]}
    resumes = [one for one in attempts if one["attempt"] > 0]
    by_phase = {name: Counter(one["phase"] for one in ended_by(records, name)) for name in ("SIGKILL", "SIGTERM")}
    return {
        "kills": blows(records, "SIGKILL"),
        "sigterms": blows(records, "SIGTERM"),
        "resumes": len(resumes),
        "resumes_bit_equal": sum(_run_of(one) in equal for one in resumes),
        "runs": len(ends),
        "runs_bit_equal": len(equal),
        "checkpoints_read": sum(one["read"] for one in attempts),
        "checkpoints_unreadable": sum(one["unreadable"] for one in attempts),
        "best_missing_until_resumed": sum(one["best_missing"] for one in attempts),
        "attempts_with_something_wrong": sum(bool(one["wrong"]) for one in attempts),
        "by_phase": {name: {phase: counts[phase] for phase in PHASES} for name, counts in by_phase.items()},
    }


def _run_of(record: dict) -> tuple:
    return record.get("with"), record["signal"], record["run"]


def is_as_it_must_be(figures: dict) -> bool:
    all_equal = figures["resumes"] == figures["resumes_bit_equal"] and figures["runs"] == figures["runs_bit_equal"]
    wrong = ("checkpoints_unreadable", "attempts_with_something_wrong")
    # A kill between two renames of `best` leaves none, until the run goes on: rename(2) cannot exchange folders.
    return all_equal and not any(figures[name] for name in wrong)


def table(figures: dict) -> str:
    rows = [(name.replace("_", " "), str(value)) for name, value in figures.items() if name != "by_phase"]
    lines = [f"{name:<32}{value:>8}" for name, value in rows]
    lines.append(f"\n{'phase that was hit':<24}{'SIGKILL':>8}{'SIGTERM':>8}")
    by_phase = figures["by_phase"]
    lines += [f"{phase:<24}{by_phase['SIGKILL'][phase]:>8}{by_phase['SIGTERM'][phase]:>8}" for phase in PHASES]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
