"""README.md and docs/ with every figure as benchmarks/results/ has it now: python benchmarks/pages.py

Writes what is between the marks of each block again, and speed.json and reliability.json, which are gathered from
others. Measures nothing.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a script's own folder is on the path, its parent is not

from benchmarks import (  # noqa: E402
    cloning_figures,
    exactness,
    fine_tuning,
    front_door,
    headline,
    improvements,
    languages,
    main_job,
    page_block,
    reliability,
    sound_samples,
    speed,
    voice,
)
from benchmarks.command_line import read_json, write_json  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
Make = Callable[[Path], str]  # a block's text, out of a folder of results


def of(name: str, block: Callable[[dict], str]) -> Make:
    """The block of one result, which says so where it was measured with uncommitted changes."""
    return lambda results: page_block.quoted(read_json(results / f"{name}.json"), name, block)


# Name of the marks -> what stands between them.
BLOCKS: dict[str, Make] = {
    "samples": of("sound_samples", sound_samples.block),
    "headline": headline.block,
    "levels": lambda results: improvements.parameters(),
    "main_job": of("main_job", main_job.block),
    "convergence": of("convergence", improvements.compared),
    "voice": of("voice", voice.block),
    "exactness": of("exactness", exactness.block),
    "reliability": lambda results: reliability.block(reliability.gather(results)),
    "fine_tuning": of("fine_tuning", fine_tuning.block),
    "languages": of("languages", languages.block),
    "cloning": of("cloning", cloning_figures.block),
    "speed": lambda results: speed.block(speed.gather(results)),
    "front_door": of("front_door", front_door.block),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/pages.py", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the json files (default: %(default)s)")
    parser.add_argument("--into", type=Path, default=ROOT, help="folder of README.md and docs/ (default: %(default)s)")
    arguments = parser.parse_args(argv)
    write_json(speed.gather(arguments.results), arguments.results / "speed.json")
    write_json(reliability.gather(arguments.results), arguments.results / "reliability.json")
    for name, make in BLOCKS.items():
        page_block.put(name, make(arguments.results), arguments.into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
