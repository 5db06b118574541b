"""One run of a level on the demo corpus, as a user gets it, and the curve it leaves."""

import argparse
import json
import shutil
import subprocess
import sys
from itertools import product
from pathlib import Path

from benchmarks.harness.command_line import read_json, write_json
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import machine, origin
from benchmarks.quality.level.curves import Curve

WATCHED = "benchmarks.quality.level.watched"
LEVELS = ("basic", "enhanced", "experimental")
INTELLIGIBLE = 0.5  # character error rate
EVALUATIONS = 20
# The same for all, and nothing that a level decides.
SAME = (
    "--train-data assets/demo_corpus --model-size tiny --init-from none --tracker none --set log.samples=0 "
    f"--set log.quality_sentences=0 --set train.eval_every_share={1 / EVALUATIONS} --set data.text_units=phonemes"
).split()


def build_parser(name: str, doc: str, minutes: float, seeds: list[int]) -> argparse.ArgumentParser:
    """Of the benchmark `name`, which trains levels for so many minutes each and hears them."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.quality.{name}", description=doc.split(":")[0] + ".")
    results, work = RESULTS / f"{name}.json", ROOT / "runs" / name
    parser.add_argument("--minutes", type=float, default=minutes, help="budget of each run (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=seeds, help="of training (default: %(default)s)")
    parser.add_argument("--levels", nargs="+", default=LEVELS, choices=LEVELS, help="(default: all)")
    parser.add_argument("--again", nargs="+", default=[], choices=LEVELS, help="forget what these levels have run")
    parser.add_argument("--sentences", type=int, default=20, help="that are heard (default: %(default)s)")
    parser.add_argument("--every", type=int, default=2, help="of the evaluations so many-th is heard (default: 2)")
    parser.add_argument("--work", type=Path, default=work, help="folder of the runs (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=results, help="the json to write (default: %(default)s)")
    return parser


def gathered(arguments: argparse.Namespace, *variants: str) -> dict:
    """The result with all runs in it, those of an earlier start too; it is written down after each.

    Runs are "LEVELvariant-SEED", seed by seed, so that what is there after any of them compares. variants: "-fast" is
    with --apply-fast-convergence.
    """
    setting = {name: getattr(arguments, name) for name in ("minutes", "sentences", "every")}
    result = started(arguments.out, setting=setting)
    result["runs"] = {name: one for name, one in result["runs"].items() if one["level"] not in arguments.again}
    heard = {"sentences": arguments.sentences, "every": arguments.every}
    for seed, level, variant in product(arguments.seeds, arguments.levels, variants):
        name = f"{level}{variant}-{seed}"
        if name not in result["runs"]:
            flags = ["--apply-fast-convergence"] if variant else []
            result["runs"][name] = run(arguments.work / name, level, seed, arguments.minutes, *flags, **heard)
            write_json(result, arguments.out)
    return result


def started(out: Path, **same) -> dict:
    """What an earlier start left in `out`, if it was of the same machine and settings; else a new result."""
    same = {"machine": machine()} | same
    found = read_json(out, {})
    is_same = bool(found) and all(found[name] == value for name, value in same.items())
    return found if is_same else same | {"figures": {}, "runs": {}}


def run(
    folder: Path,
    level: str,
    seed: int,
    minutes: float,
    *more: str,
    sentences: int = 0,
    every: int = 1,
    module: str = WATCHED,
) -> dict:
    """Train in `folder` for `minutes`, with `more` flags; its curve, in which every so many-th evaluation is heard.

    `sentences`: that are heard each time; 0: none. `module`: watched, or one that is called the same way.
    """
    begun = origin()  # a run may take hours, and the checkout may change meanwhile
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "watched").mkdir(parents=True)
    command = [sys.executable, "-m", module, str(folder / "watched"), *SAME]
    command += ["--optimization-level", level, "--seed", str(seed), "--max-minutes", str(minutes)]
    command += ["--checkpoint-dir", str(folder / "run"), *more]
    print("$ " + " ".join(command), flush=True)
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        subprocess.run(command, cwd=ROOT, check=True, stdout=log, stderr=subprocess.STDOUT)
    report = read_json(folder / "run" / "report.json")
    lines = (folder / "watched" / "curve.jsonl").read_text(encoding="utf-8").splitlines()
    train = report["config"]["train"]
    evaluations = [json.loads(line) for line in lines]
    curve = [point_of(one, train["batch_size"] * train["grad_accum"]) for one in evaluations]
    if sentences:
        hear(folder, curve, sentences, every)
    for weights in (folder / "watched").glob("*.safetensors"):
        weights.unlink()
    last = evaluations[-1]
    return {
        "level": level,
        "seed": seed,
        **begun,
        "load": Path("/proc/loadavg").read_text().split()[0] if Path("/proc/loadavg").is_file() else None,
        "waiting_share": last["waiting_s"] / last["seconds"],
        "skipped_updates": last["skipped"],
        "curve": curve,
    }


def point_of(line: dict, utterances: int) -> dict:
    kept = {name: value for name, value in line.items() if name in ("step", "seconds", "cpu_s", "eval_mel")}
    return kept | {"utterances": line["step"] * utterances, "end_errors": 1 - line["eval_end_accuracy"]}


def hear(folder: Path, curve: Curve, sentences: int, every: int) -> None:
    """Put the error rate of every so many-th evaluation, and of the last, into the curve."""
    from safetensors.torch import load_model

    from benchmarks.quality import (
        heldout_speech as speech,  # here: training is launched from a process that is still small
    )

    speaker = speech.Speaker(folder / "run")
    english = speech.heldout(sentences)[speech.ASR_LANGUAGE]
    vocoder = speech.vocoder_for(speech.VOCODERS[0], speaker.audio)
    for number, point in enumerate(reversed(curve)):
        if number % every == 0:
            load_model(speaker.model, str(folder / "watched" / f"step-{point['step']:08d}.safetensors"))
            waves = [vocoder(one.speech.mel_TC) for one in speaker.speak(english)]
            point["cer"] = min(1.0, speech.score(waves, english, speaker.audio.sample_rate_hz)[0])
