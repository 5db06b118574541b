"""README.md and docs/ with every figure as benchmarks/results/ has it now: python -m benchmarks.report.pages

Writes what is between the marks of each block again, and speed.json and reliability.json, which are gathered from
others. Measures nothing.
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.harness.command_line import read_json, write_json
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.quality import (
    base_model,
    cloning_figures,
    fine_tuning,
    front_door,
    languages,
    main_job,
    sound_samples,
    voice,
)
from benchmarks.reliability import exactness
from benchmarks.report import headline, improvements, page_block, reliability_figures, speed_figures

FROM_NOTHING = "main_job_from_nothing"  # main_job.py --out results/main_job_from_nothing.json -- --init-from none
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
    "main_job_from_nothing": of(FROM_NOTHING, partial(main_job.block, name=FROM_NOTHING)),
    "base_model": of("base_model", base_model.block),
    "convergence": of("convergence", improvements.compared),
    "voice": of("voice", voice.block),
    "exactness": of("exactness", exactness.block),
    "reliability": lambda results: reliability_figures.block(reliability_figures.gather(results)),
    "fine_tuning": of("fine_tuning", fine_tuning.block),
    "languages": of("languages", languages.block),
    "cloning": of("cloning", cloning_figures.block),
    "speed": lambda results: speed_figures.block(speed_figures.gather(results)),
    "front_door": of("front_door", front_door.block),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the json files (default: %(default)s)")
    parser.add_argument("--into", type=Path, default=ROOT, help="folder of README.md and docs/ (default: %(default)s)")
    arguments = parser.parse_args(argv)
    write_json(speed_figures.gather(arguments.results), arguments.results / "speed.json")
    write_json(reliability_figures.gather(arguments.results), arguments.results / "reliability.json")
    for name, make in BLOCKS.items():
        page_block.put(name, make(arguments.results), arguments.into)
    return 0


if __name__ == "__main__":
    sys.exit(main())
