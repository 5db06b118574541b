"""The newcomer's path, as a new user goes it: python -m benchmarks.quality.front_door    (judging: the extra eval)

All of it with what the README's first command installs, in a fresh environment out of a fresh clone (fresh_install.py).
A folder of mp3 and the csv that a spreadsheet saves (semicolons, a byte order mark, Windows' line ends) become a voice
and a page on a Hub: the corpus is checked, a model trained and pushed, heard from its folder, and heard from the Hub
where this repository is not. Each command is one of the README's, in a process of its own, and timed. The speech is
the demo corpus' English training part; the Hub is a server on 127.0.0.1 (testing/hub_server.py). The page's files are
left in hub_page/ of the folder of the work. Also how fast 100,000 rows are checked: the same recordings again and
again. This environment judges the model by the demo corpus' held-out English sentences. Writes
benchmarks/results/front_door.json, with the figures of bad_inputs.py and hub_faults.py in it.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import pyarrow.parquet
import soundfile

from benchmarks.harness import command_line
from benchmarks.harness.fresh_install import FreshInstall
from benchmarks.harness.places import DEMO, RESULTS, ROOT
from benchmarks.quality.main_job import check_extras
from benchmarks.report import page_block
from data_pipeline.errors import UserError
from testing.hub_server import HubServer

OUT = RESULTS / "front_door.json"
OTHERS = ("bad_inputs", "hub_faults")  # whose figures belong here too
CORPUS = DEMO / "train-en.parquet"
ID, SEED = "ann/voice", 1
SENTENCE = "Thank you for calling. Please leave a message after the tone."
MANY_ROWS = 100_000
CHECK = "goya-check --train-data speech --language en"
TRAIN = (
    "accelerate launch {train_main} --train-data speech --language en "
    f"--optimization-level experimental --seed {SEED} --max-minutes {{minutes:g}} --push-to-hub {ID}"
)
SAY = f'goya-say runs/speech_{{size}}_experimental --text "{SENTENCE}" --out hello.wav'
FROM_HUB = f"""from transformers import pipeline
import soundfile

speak = pipeline("text-to-speech", model="{ID}", trust_remote_code=True)
speech = speak("{SENTENCE}", language="en")
soundfile.write("from_hub.wav", speech["audio"], speech["sampling_rate"])
"""
# Figure -> (what a reader is told, how it is shown).
SHOWN = {
    "minutes_to_voice": ("first command to the first wav, minutes, training's {minutes:g} among them", "{:.1f}"),
    "cer": ("CER of its speech", "{:.1%}"),
    "sentences": ("of so many held-out sentences", "{:.0f}"),
    "check_rows_per_second": ("rows checked a second, all decoded, pitch too", "{:.0f}"),
    "check_many_rows_per_second": (f"the same of {MANY_ROWS:,} rows, of which 2000 are decoded", "{:.0f}"),
    "bad_inputs_tried": ("broken corpora and command lines tried ({bad_inputs})", "{:.0f}"),
    "tracebacks": ("of them: tracebacks", "{:.0f}"),
    "hangs": ("hangs", "{:.0f}"),
    "good_rows_lost": ("good rows lost", "{:.0f}"),
    "hub_faults_tried": ("ways in which a Hub failed a run ({hub_faults})", "{:.0f}"),
    "hub_faults_survived": ("of them: the run ended well, and the model was there or said to be here", "{:.0f}"),
}


@dataclass(frozen=True)
class Step:
    """A command of the path, the seconds it took, and what it said."""

    command: str
    seconds: float
    said: str


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--minutes", type=float, default=15.0, help="of training (default: %(default)s)")
    parser.add_argument("--size", default="tiny", help="of the model (default: %(default)s)")
    parser.add_argument("--rows", type=int, help="at most so many recordings, to try this out")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "front_door", help="(default: %(default)s)")
    parser.add_argument("--allow-dirty", action="store_true", help="measure HEAD beside uncommitted changes")
    command_line.add_output(parser, OUT)
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    return command_line.finish(arguments, "front_door", block, partial(measure, arguments))


def measure(arguments) -> None:
    check_extras()
    installed = FreshInstall(arguments.work / "installation", arguments.allow_dirty)
    folder = arguments.work / "path"
    shutil.rmtree(folder, ignore_errors=True)
    spreadsheet(folder / "speech", pyarrow.parquet.read_table(CORPUS).to_pylist()[: arguments.rows])
    with HubServer() as server:
        steps = path(folder, server, installed, arguments.minutes, arguments.size)
        page(server, folder / "hub_page")
    many = check_of_many(folder, installed)
    figures = {
        "minutes_to_voice": sum(step.seconds for step in steps[:3]) / 60,
        **understood(folder / "runs" / f"speech_{arguments.size}_experimental"),
        "check_rows_per_second": rows_a_second(steps[0].said),
        "check_many_rows_per_second": rows_a_second(many),
    }
    results = installed.origin() | {
        "seeds": {"training": [SEED]},
        "minutes": arguments.minutes,
        "figures": figures,
        "commands": [{"command": step.command, "seconds": step.seconds} for step in steps],
        "from": {},
    }
    for name in OTHERS:
        found = command_line.read_json(RESULTS / f"{name}.json")
        results["figures"] |= found["figures"]
        results["from"][name] = {key: found[key] for key in ("machine", "date", "commit")}
    command_line.write_json(results, arguments.out)
    print(block(results))


def spreadsheet(folder: Path, rows: list[dict]) -> None:
    """The recordings as mp3, and a csv as a spreadsheet saves it where the comma is for decimals."""
    folder.mkdir(parents=True)
    lines = ["File;Sentence;Speaker"]
    for number, row in enumerate(rows):
        wave, rate_hz = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
        soundfile.write(folder / f"take {number:04}.mp3", wave, rate_hz, format="MP3")
        text = row["text"].replace('"', '""')
        lines.append(f'take {number:04}.mp3;"{text}";Ann')
    (folder / "recordings.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))


def path(folder: Path, server: HubServer, installed: FreshInstall, minutes: float, size: str) -> list[Step]:
    train = TRAIN.format(train_main=installed.clone / "train_main.py", minutes=minutes)
    train += "" if size == "tiny" else f" --model-size {size}"
    environment = installed.environment() | server.environment(folder / "home")
    steps = [run(command, folder, environment) for command in (CHECK, train, SAY.format(size=size))]
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "from_hub.py").write_text(FROM_HUB)
    steps.append(run("python from_hub.py", folder / "elsewhere", environment))  # not in the clone
    for step in steps:
        print(f"{step.seconds:7.1f} s  {step.command}")
    return steps


def run(command: str, folder: Path, environment: dict[str, str]) -> Step:
    """With the programs of that environment. Raises UserError where it fails."""
    words = ["bash", "-c", f"exec {command}"]  # bash looks for the program where the environment says
    started = time.perf_counter()
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise UserError(
            f"{command} ended with exit code {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return Step(re.sub(r"\S+/(?=train_main\.py)", "", command), seconds, done.stdout.strip())


def page(server: HubServer, folder: Path) -> None:
    """What a visitor of the repository's page sees: the card, its pictures and samples."""
    for name in server.repositories[ID].files():
        if name == "README.md" or Path(name).suffix in (".png", ".wav"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(server.content(ID, name))


def understood(run_folder: Path) -> dict[str, float]:
    """How well this environment's recognizer understands the model."""
    from benchmarks.quality import heldout_speech as speech  # here: it brings much that the path itself does not need

    english = {speech.ASR_LANGUAGE: speech.heldout()[speech.ASR_LANGUAGE]}
    figures, heard = speech.spoken_figures(english, speech.Speaker(run_folder), [0])
    return {"cer": figures["cer_model"], "sentences": len(heard)}


def check_of_many(folder: Path, installed: FreshInstall) -> str:
    """What the check says of MANY_ROWS."""
    heading, *lines = (folder / "speech" / "recordings.csv").read_text(encoding="utf-8-sig").splitlines()
    many = folder / "many"
    many.mkdir()
    (many / "recordings.csv").write_text("\n".join([heading, *islice(cycle(lines), MANY_ROWS)]), encoding="utf-8")
    (many / "wavs").symlink_to(folder / "speech")
    return run("goya-check --train-data many/recordings.csv --language en", folder, installed.environment()).said


def rows_a_second(said: str) -> float:
    return float(re.search(r"([\d,]+) rows a second", said)[1].replace(",", ""))


def block(results: dict) -> str:
    """The commands and their times, then the figures, as markdown."""
    commands = "\n".join(f"| `{step['command']}` | {step['seconds']:.0f} |" for step in results["commands"])
    of = {"minutes": results["minutes"]} | {name: one["date"][:10] for name, one in results["from"].items()}
    forms = {name: (label.format(**of), form) for name, (label, form) in SHOWN.items() if name in results["figures"]}
    return (
        f"`python -m benchmarks.quality.front_door`. {page_block.source(results, 'front_door')}\n\n"
        f"| command | seconds |\n|---|---|\n{commands}\n\n"
        f"{page_block.rows(page_block.shown(results['figures'], forms))}"
    )


if __name__ == "__main__":
    sys.exit(main())
