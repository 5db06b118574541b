"""Faults, and how a run comes out of them: python -m benchmarks.reliability.faults [NAME ...]

Each fault is provoked in a small run of train_main.py: full disks, damaged checkpoints, folders that cannot be written
to, numbers that are not finite, too little memory, sources that do not answer, checkpoints of strangers. Prints how
each ended, as it goes. Exit code 1 where one did not end as a user would want. Linux only; root sees more (a disk of
its own to fill, another user who may not write).
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.reliability.crash.forked import call  # first: it sets what libraries read when they are imported

# isort: split

from benchmarks.reliability.crash.chain import make_corpus
from benchmarks.reliability.fault import of_checkpoints, of_inputs, of_numbers
from benchmarks.reliability.fault.stage import NotHandled, Stage

FAULTS = of_checkpoints.FAULTS | of_numbers.FAULTS | of_inputs.FAULTS
NOT_HANDLED = "not handled: "


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or some of: {', '.join(FAULTS)}")
    parser.add_argument("--out", help="a json to write: name -> outcome")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    unknown = set(arguments.names) - set(FAULTS)
    if unknown:
        parser.error(f"no fault {', '.join(sorted(unknown))}")
    outcomes = provoke(arguments.names or list(FAULTS))
    if arguments.out:
        Path(arguments.out).write_text(json.dumps(outcomes, indent=1) + "\n", encoding="utf-8")
    return int(any(map(is_unhandled, outcomes.values())))


def is_unhandled(outcome: str) -> bool:
    return outcome.startswith(NOT_HANDLED)


def provoke(names: list[str]) -> dict[str, str]:
    """Name -> how it ended; printed too. The runs' folder stays where one was not handled."""
    work = Path(tempfile.mkdtemp(prefix="goya-faults-"))
    call(lambda: make_corpus(work / "corpus"), work / "log.txt")
    outcomes = {}
    for name in names:
        try:
            outcomes[name] = FAULTS[name](Stage(work, name.replace(" ", "-")))
        except NotHandled as error:
            outcomes[name] = NOT_HANDLED + str(error)
        print(f"{name}: {outcomes[name]}", flush=True)
    if any(map(is_unhandled, outcomes.values())):
        print(f"The runs are in {work}.")
    else:
        shutil.rmtree(work)
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
