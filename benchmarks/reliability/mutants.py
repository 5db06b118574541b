"""Faults put into the code on purpose, and whether its tests see them: python -m benchmarks.reliability.mutants

Each is one change of one line or a few, in a copy of the tree. Those of mutant/by_hand.py were thought of, the others
are drawn by a seed of what cosmic-ray's operators make of the files in mutant/tests_of.py. For each its file's quick
tests are run, then, where they let it through, the wide ones. One that these let through too survives: a test of what
the line is for is missing. Those of mutant/explained.py, which no test can tell, are tried by the quick tests alone.

Prints how each ended and writes benchmarks/results/mutants.json as it goes; what is killed there, of a file that was
not changed since, is kept. Exit code 1 where one survived or no longer applies. Linux only; besides the extra dev it
needs cosmic-ray: pip install "cosmic-ray>=8.7,<9"
"""

import argparse
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import command_line
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import is_clean, origin
from benchmarks.reliability.mutant import tests_of
from benchmarks.reliability.mutant.by_hand import BY_HAND
from benchmarks.reliability.mutant.drawn import draw, shares
from benchmarks.reliability.mutant.explained import EXPLAINED
from benchmarks.reliability.mutant.forked import Tests

OUT = RESULTS / "mutants.json"
DRAWN, SEED = 175, 20


@dataclass(frozen=True)
class Mutant:
    """`text`: of its file, None where it no longer applies. `stages`: of tests, the next where one lets it through."""

    file: str
    text: str | None
    stages: list[tuple[str, ...]]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these, as the results name them (default: all)")
    parser.add_argument("--drawn", type=int, default=DRAWN, help="mutants that are drawn (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="of the draw (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="only print their names")
    parser.add_argument("--log", type=Path, help="what the tests print is added to it (default: nowhere)")
    parser.add_argument("--out", type=Path, default=OUT, help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    began = origin() | {"cosmic_ray": importlib.metadata.version("cosmic-ray"), "seed": arguments.seed}
    mutants = all_mutants(arguments.drawn, arguments.seed)
    if unknown := set(arguments.names) - set(mutants):
        parser.error(f"no mutant {', '.join(sorted(unknown))}")
    mutants = {name: mutants[name] for name in arguments.names or mutants}
    if arguments.list:
        print(*mutants, sep="\n")
        return 0
    ends = dict.fromkeys(mutants, "survived") | killed_before(arguments.out, mutants)
    with tempfile.TemporaryDirectory(prefix="goya-mutants-") as folder:
        copy(Path(folder))
        tests = Tests(Path(folder), (arguments.log or Path("/dev/null")).absolute())
        for name, end in ends_of(mutants, ends, tests):
            ends[name] = end
            print(f"{end:<10}{name}", flush=True)
            command_line.write_json(began | results(ends), arguments.out)
    return summary(ends)


def killed_before(out: Path, mutants: dict[str, Mutant]) -> dict[str, str]:
    """Those of the results that are there whose file was not changed since: more tests kill no fewer."""
    before = command_line.read_json(out, {})
    if not before or not is_clean(before):
        return {}
    command = ["git", "diff", "--name-only", before["commit"]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    same = {name for name in before["ends"].keys() & mutants.keys() if mutants[name].file not in done.stdout.split()}
    return {name: "killed" for name in mutants if name in same and before["ends"][name] == "killed"}


def ends_of(mutants: dict[str, Mutant], ends: dict[str, str], tests: Tests) -> Iterator[tuple[str, str]]:
    """How each that is not killed yet ends, or has fared so far: a stage of all mutants comes before the next."""
    for stage in range(max(len(mutant.stages) for mutant in mutants.values())):
        for name, mutant in mutants.items():
            if mutant.text is None:
                yield name, "stale"
            elif ends[name] == "survived" and stage < len(mutant.stages):
                end = tests.end(mutant.file, mutant.text, mutant.stages[stage])
                yield name, "explained" if end == "survived" and name in EXPLAINED else end


def all_mutants(number: int, seed: int) -> dict[str, Mutant]:
    """Those by hand, and about `number` that are drawn, by name."""
    mutants = {}
    for name, one in BY_HAND.items():
        text = one.applied((ROOT / one.file).read_text(encoding="utf-8"))
        mutants[name] = Mutant(one.file, text, [(one.tests,)])
    sources = {file: (ROOT / file).read_text(encoding="utf-8") for file in tests_of.files(ROOT)}
    for file, share in shares(sources, number).items():
        for drawn in draw(file, sources[file], share, seed):
            mutants[drawn.name] = Mutant(file, drawn.text, tests_of.stages(file))
    return mutants


def copy(folder: Path) -> None:
    """The files that git knows, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def results(ends: dict[str, str]) -> dict:
    counts = Counter(ends.values())
    figures = {
        "mutants_tried": len(ends) - counts["stale"],
        "mutants_killed": counts["killed"] + counts["hangs"],
        "mutants_explained": counts["explained"],
        "mutants_survived": counts["survived"],
    }
    why = {name: EXPLAINED[name] for name, end in ends.items() if end == "explained"}
    return {"ends": ends, "why": why, "figures": figures}


def summary(ends: dict[str, str]) -> int:
    """Says how it ended; the exit code."""
    print(", ".join(f"{count} {end}" for end, count in Counter(ends.values()).most_common()))
    for name in EXPLAINED.keys() & ends.keys():
        if ends[name] != "explained":
            print(f"Explained, and {ends[name]}: {name}")
    return int(not set(ends.values()) <= {"killed", "hangs", "explained"})


if __name__ == "__main__":
    sys.exit(main())
