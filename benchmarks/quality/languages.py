"""One model of five languages: python -m benchmarks.quality.languages --packages FOLDER --base RUN

    pip install -e ".[eval,espeak]"; apt-get download asterisk-core-sounds-{it,ru}{,-g722}

The demo corpus and what Debian has of Italian and Russian prompts (telephone_prompts.py: 17 minutes of each), trained
on with the settings of the README's first command for as many steps as the main job took (results/main_job.json), or a
finished run of it (--run-folder). Each language's held-out sentences are judged by how like the recordings they sound
(likeness.py), the English ones by their error rate too; beside it --base, the main job's run, which knows three of the
languages and was trained for as long. Prints one table and writes benchmarks/results/languages.json; --docs puts it
into docs/measured.md. What follows -- goes to train_main.py.
"""

import argparse
import math
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.corpora import telephone_prompts
from benchmarks.corpora.speech_rows import beside_the_demo_corpus
from benchmarks.harness import command_line
from benchmarks.harness.command_line import read_json
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import origin
from benchmarks.quality import heldout_speech as speech
from benchmarks.quality import likeness
from benchmarks.report import page_block
from data_pipeline.errors import UserError
from data_pipeline.reading.sources import open_source
from evaluation.text_metrics import character_error_rate
from inference.plots import write_picture

SETTINGS = "--optimization-level enhanced --apply-fast-convergence --model-size tiny --init-from none"
MODELS = {"five": "five languages", "base": "the main job's three"}
SHOWN = likeness.SHOWN | {"cer": ("CER", "{:.1%}")}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--packages", type=Path, help="folder of the .deb files of the prompts")
    parser.add_argument("--base", type=Path, help="run folder of the main job")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "languages", help="corpus, run, pictures")
    parser.add_argument("--run-folder", type=Path, help="judge this finished run instead of training one")
    command_line.add_output(parser, RESULTS / "languages.json")
    return parser


def main(argv: list[str] | None = None) -> int:
    own, more = command_line.before_dashes(argv)
    arguments = build_parser().parse_args(own)
    return command_line.finish(arguments, "languages", block, partial(measure, arguments, more))


def measure(arguments, more: list[str]) -> None:
    if not arguments.base or not arguments.packages:
        raise UserError("--base and --packages are needed to measure; --help says what they are.")
    corpus = arguments.work / "corpus"
    if not corpus.exists():
        write_corpus(arguments.packages, corpus)
    folder = arguments.run_folder or train(corpus, arguments.work / "run", more)
    folders = {"five": folder, "base": arguments.base}
    reports = {name: read_json(folder / "report.json") for name, folder in folders.items()}
    results = origin() | {
        "steps": {name: report["result"]["steps"] for name, report in reports.items()},
        "seeds": {name: report["config"]["train"]["seed"] for name, report in reports.items()},
        "minutes": minutes_of_speech(corpus),
        "figures": judge({name: speech.Speaker(one) for name, one in folders.items()}, corpus, arguments.work),
    }
    command_line.write_json(results, arguments.out)
    print(f"\n{table(results)}\n\nWritten to {arguments.out}.")


def write_corpus(packages: Path, out: Path) -> None:
    """All five languages as parquet, each with its held-out rows."""
    with beside_the_demo_corpus(out) as folder:
        for language in telephone_prompts.VOICES:
            with tempfile.TemporaryDirectory() as made:
                telephone_prompts.make(packages, language, math.inf, Path(made))
                for name, split in (("train", "train"), ("validation", "heldout")):
                    shutil.copy(Path(made) / f"{name}.parquet", folder / f"{split}-{language}.parquet")


def train(corpus: Path, folder: Path, more: list[str]) -> Path:
    """The folder of the run, through the front door. Raises UserError where it fails."""
    steps = read_json(RESULTS / "main_job.json")["figures"]["steps"]
    flags = [*SETTINGS.split(), "--max-steps", str(steps), "--checkpoint-dir", str(folder), "--reset-training"]
    command_line.train("--train-data", str(corpus), *flags, *more)
    return folder


def minutes_of_speech(corpus: Path) -> dict[str, float]:
    """To train on, silence at the ends included."""
    seconds: dict[str, float] = {}
    for row in open_source(str(corpus), split="train").rows():
        seconds[row["language"]] = seconds.get(row["language"], 0.0) + row["duration_s"]
    return {language: found / 60 for language, found in sorted(seconds.items())}


def judge(speakers: dict[str, speech.Speaker], corpus: Path, pictures: Path) -> dict[str, dict]:
    """Language -> the bounds of its recordings, and each model's figures where it knows the language."""
    figures: dict[str, dict] = {}
    for language, utterances in speech.heldout(corpus=corpus).items():
        recordings = likeness.Recordings(utterances)
        figures[language] = {"sentences": len(utterances), "recordings": recordings.bounds()}
        for name, speaker in speakers.items():
            if not speaker.knows(language):
                continue
            spoken = speaker.speak(utterances)
            write_picture(pictures / f"{name}_{language}.png", spoken[0], speaker.audio.frames_per_s)
            found = recordings.likeness(speaker, spoken)
            if language == speech.ASR_LANGUAGE:
                heard, said = ([one[of] for one in found["heard_as"]] for of in ("model", "said"))
                found["cer"] = character_error_rate(heard, said, language)
            figures[language][name] = found
    return figures


def rows(results: dict) -> list[list[str]]:
    lines = [["", "", *(label for label, _ in SHOWN.values())]]
    for language, found in results["figures"].items():
        bounds = found["recordings"]
        copies, others = ({key: bounds[f"{key}_{of}"] for key in ("heard", "mcd")} for of in ("copies", "others"))
        models = {label: found[name] for name, label in MODELS.items() if name in found}
        spoken = models | {"recordings, vocoded": copies, "recordings of other sentences": others}
        for label, one in spoken.items():
            cells = [form.format(one[key]) if key in one else "" for key, (_, form) in SHOWN.items()]
            lines.append([language, label, *cells])
    return lines


def table(results: dict) -> str:
    heading = f"{results['machine']}; {results['date']}; steps {results['steps']}\n"
    return heading + page_block.columns(rows(results))


def block(results: dict) -> str:
    header, *lines = rows(results)
    minutes = ", ".join(f"{language} {found:.0f}" for language, found in results["minutes"].items())
    sentences = ", ".join(f"{language} {found['sentences']}" for language, found in results["figures"].items())
    said = (
        f"`python -m benchmarks.quality.languages`: minutes of speech {minutes}; {results['steps']['five']} steps "
        f"(the main job's {results['steps']['base']}); held-out sentences {sentences}; one seed. Heard as the "
        "recording: the English recognizer hears model and recording, and what it writes is compared. "
    )
    return f"{said}{page_block.source(results, 'languages')}\n\n{page_block.markdown(header, lines)}"


if __name__ == "__main__":
    sys.exit(main())
