"""Inputs made at random, by kinds and from a seed, against each boundary: python -m benchmarks.reliability.fuzz

What users and strangers give (fuzzing/): settings, config files, command lines; models, vocoders and the
folders of runs, with any field of any JSON changed, weights cut, links and pipes; recordings of every format; texts of
any script, by every unit and language; corpora as tables, JSON lines, parquet and archives, and exclude lists; requests
to the page to listen. All in one process. Each ends well where it is read, or refused in one UserError; ill in any
other exception, after LIMIT_S, where a message is too short or too long to be of use, and where a boundary says so
(Ill). Prints what ended ill, to be made again by its number, and writes benchmarks/results/fuzz.json.
"""

import argparse
import contextlib
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from benchmarks.harness.places import DEMO, RESULTS, ROOT

os.environ["HF_HUB_OFFLINE"] = "1"  # before it is imported: a name that is drawn is asked of nobody

from benchmarks.harness import command_line
from benchmarks.harness.provenance import origin
from benchmarks.harness.time_limit import TooLong, time_limit
from benchmarks.reliability.fuzzing import clips, corpora, given, models, pages, states, texts
from benchmarks.reliability.fuzzing.drawn import Ill
from benchmarks.reliability.fuzzing.kit import Kit
from data_pipeline.errors import UserError

OUT = RESULTS / "fuzz.json"
LIMIT_S = 60
MESSAGE_CHARS = range(30, 3000)
# Kind -> what tries it, and what of the kit has to be made before the time runs.
KINDS = {
    "setting": (given.setting, ()),
    "config file": (given.config_file, ()),
    "command line": (given.command_line, ("hardware", "model")),
    "model": (models.model, ("hardware", "model")),
    "vocoder": (models.vocoder, ("vocoder",)),
    "run folder": (states.run_folder, ("run", "trainer")),
    "clip": (clips.clip, ("wave",)),
    "text": (texts.text, ("readers",)),
    "corpus": (corpora.corpus, ("hardware", "short_wav")),
    "exclude list": (corpora.exclude_list, ("hardware", "short_wav")),
    "request": (pages.request, ("page",)),
}
ORDER = [*KINDS, "model"]  # a turn of inputs: models of strangers hold the most fields
WELL = ("read", "refused")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--inputs", type=int, default=2400, help="(default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (default: %(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="(default: all)")
    parser.add_argument("--out", type=Path, default=OUT, help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    ends: dict[str, Counter[str]] = {kind: Counter() for kind in arguments.kinds}
    ill, started = [], time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="goya-fuzz-") as folder:
        kit, outside = made(Path(folder), arguments.kinds), Path(folder) / "outside"
        outside.mkdir()
        for number in range(arguments.first, arguments.first + arguments.inputs):
            kind = ORDER[number % len(ORDER)]
            if kind not in arguments.kinds:
                continue
            work = Path(folder) / "work"
            work.mkdir()
            with contextlib.chdir(outside):
                end, detail = judged(KINDS[kind][0], random.Random(number), work, kit)
            if left := [path.name for path in outside.iterdir()]:
                end, detail = "a file outside", f"{left} in the folder of the command; {detail}"
                shutil.rmtree(outside)
                outside.mkdir()
            shutil.rmtree(work)
            ends[kind][end] += 1
            if end not in WELL:
                ill.append({"input": number, "kind": kind, "end": end, "detail": detail.replace(folder, "")[:5000]})
                print(f"input {number} ({kind}): {end}\n{detail[:2000]}", flush=True)
    results = origin() | {"seconds": time.perf_counter() - started}
    command_line.write_json(results | {"ends": ends, "ill": ill, "figures": figures(ends)}, arguments.out)
    for kind, counted in ends.items():
        print(f"{kind:<14}" + "  ".join(f"{end} {count}" for end, count in sorted(counted.items())))
    return int(bool(ill))


def made(folder: Path, kinds: list[str]) -> Kit:
    kit = Kit(folder, DEMO)
    for name in dict.fromkeys(name for kind in kinds for name in KINDS[kind][1]):
        getattr(kit, name)
    return kit


def figures(ends: dict[str, Counter[str]]) -> dict[str, int]:
    total = sum(ends.values(), Counter())
    other = sum(count for end, count in total.items() if end not in (*WELL, "traceback", "hang"))
    models_tried = sum(ends.get(kind, Counter()).total() for kind in ("model", "vocoder"))
    found = {"inputs_tried": total.total(), "models_tried": models_tried}
    return found | {"tracebacks": total["traceback"], "hangs": total["hang"], "other_ill_ends": other}


def judged(attempt, draw: random.Random, work: Path, kit: Kit) -> tuple[str, str]:
    """(how it ended, the message or traceback)."""
    try:
        with time_limit(LIMIT_S):
            return attempt(draw, work, kit) or "read", ""
    except UserError as error:
        return ("refused" if len(str(error)) in MESSAGE_CHARS else "bad message"), str(error)
    except Ill as found:
        return found.args
    except TooLong:
        return "hang", _shown()
    except Exception:  # whatever it is, a user would see it as a traceback
        return "traceback", _shown()


def _shown() -> str:
    """The traceback at hand, with no path of the machine."""
    return traceback.format_exc(limit=-8).replace(f"{ROOT}{os.sep}", "")


if __name__ == "__main__":
    sys.exit(main())
