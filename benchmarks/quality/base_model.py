"""The model that ships, made and judged: python -m benchmarks.quality.base_model --packages FOLDER

    pip install -e ".[eval]"; apt-get download asterisk-core-sounds-{it,ru}{,-g722}

Size tiny, from nothing, on the demo corpus and what Debian has of Italian and Russian prompts (telephone_prompts.py:
17 minutes of each), whose held-out lists it never sees; with the settings of the README's first command and --minutes.
Its best model goes into assets/base_model with weights in bfloat16 (the run stays in --work), and is judged there by
the held-out sentences: each language's by how like the recordings they sound (likeness.py), the English ones by CER
and DistillMOS too. Prints one table and writes benchmarks/results/base_model.json; --docs puts it into
docs/measured.md. What follows -- goes to train_main.py; the same command goes on with a training that was broken off.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import torch

from benchmarks.harness import command_line
from benchmarks.harness.command_line import read_json
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import origin
from benchmarks.quality import heldout_speech as speech
from benchmarks.quality import languages, likeness
from benchmarks.report import page_block
from data_pipeline.errors import UserError
from inference.pretrained import SHIPPED, load

SYNTHESIS_SEEDS = [0, 1, 2]
SHOWN = {
    "cer_model": ("CER, English", "{:.1%}"),
    "cer_real": ("CER, English recordings", "{:.1%}"),
    "distillmos_model": ("DistillMOS (1 to 5), English", "{:.2f}"),
    "distillmos_real": ("DistillMOS, English recordings", "{:.2f}"),
    "training_hours": ("hours of training", "{:.1f}"),
    "steps": ("optimizer steps", "{:.0f}"),
    "megabytes": ("MB of weights", "{:.0f}"),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--packages", type=Path, help="folder of the .deb files of the prompts")
    parser.add_argument("--minutes", type=float, default=90.0, help="of training (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "base_model", help="corpus, run, pictures")
    command_line.add_output(parser, RESULTS / "base_model.json")
    return parser


def main(argv: list[str] | None = None) -> int:
    own, more = command_line.before_dashes(argv)
    arguments = build_parser().parse_args(own)
    return command_line.finish(arguments, "base_model", block, partial(measure, arguments, more))


def measure(arguments, more: list[str]) -> None:
    before = origin()  # what it was trained with, though the judging may be of another day
    folder = train(arguments, more)
    report = read_json(folder / "report.json")
    ship(folder)
    results = (
        before
        | {
            "command": " ".join(["python train_main.py", *flags(arguments), *more]),
            "seeds": {"training": report["config"]["train"]["seed"], "synthesis": SYNTHESIS_SEEDS},
            "minutes": languages.minutes_of_speech(arguments.work / "corpus"),
            "trained": {"date": report["date"], "machine": report["machine"]},
        }
        | judged(arguments.work, report["result"])
    )
    command_line.write_json(results, arguments.out)
    print(f"\n{table(results)}\n\nWritten to {arguments.out}.")


def train(arguments, more: list[str]) -> Path:
    """The folder of the run, through the front door. Raises UserError where it fails, or there are no packages."""
    corpus, folder = arguments.work / "corpus", arguments.work / "run"
    if not corpus.exists():
        if not arguments.packages:
            raise UserError("--packages is needed to train; --help says of what.")
        languages.write_corpus(arguments.packages, corpus)
    if not (folder / "report.json").is_file():
        command_line.train("--train-data", str(corpus), "--checkpoint-dir", str(folder), *flags(arguments), *more)
    return folder


def flags(arguments) -> list[str]:
    return [*languages.SETTINGS.split(), "--max-minutes", f"{arguments.minutes:g}"]


def ship(folder: Path) -> None:
    """The run's best model into SHIPPED, in half of its size. What stands there besides (card, license) stays."""
    model, processor = load(str(folder))
    model.to(torch.bfloat16).save_pretrained(SHIPPED)
    described = read_json(SHIPPED / "config.json")  # whose dtype is what transformers' from_pretrained computes in
    command_line.write_json(described | {"dtype": "float32"}, SHIPPED / "config.json")
    processor.save_pretrained(SHIPPED)
    for code in SHIPPED.glob("*.py"):  # for models on the Hub; here the checkout has it
        code.unlink()


def judged(work: Path, result: dict) -> dict:
    """Figures of what is in SHIPPED, as one who has only that hears it."""
    speaker, sentences = speech.Speaker(SHIPPED), speech.heldout()
    figures, heard = speech.spoken_figures(sentences, speaker, SYNTHESIS_SEEDS)
    figures |= speech.recorded_figures(sentences, speaker.audio) | speech.length_ratios(sentences, speaker)
    weights = SHIPPED / "model.safetensors"
    figures |= {"steps": result["steps"], "training_hours": result["seconds"] / 3600}
    figures |= {"megabytes": weights.stat().st_size / 1e6, "cer_sentences": len(heard)}
    by_language = languages.judge({"five": speaker}, work / "corpus", work / "pictures")
    return {"figures": figures, "heard": heard, "by_language": by_language}


def rows(results: dict) -> list[list[str]]:
    """[language, minutes of speech, its figures ...]."""
    lines = [["language", "minutes of speech", *(label for label, _ in likeness.SHOWN.values())]]
    for language, found in results["by_language"].items():
        cells = [form.format(found["five"][key]) for key, (_, form) in likeness.SHOWN.items()]
        lines.append([language, f"{results['minutes'][language]:.0f}", *cells])
    return lines


def table(results: dict) -> str:
    shown = page_block.shown(results["figures"], SHOWN)
    heading = f"{results['machine']}; {results['date']}\n{page_block.aligned(shown)}"
    return f"{heading}\n\n{page_block.columns(rows(results))}"


def block(results: dict) -> str:
    """The figures as markdown."""
    said = f"`{results['command']}`. {page_block.source(results, 'base_model')}"
    shown = page_block.rows(page_block.shown(results["figures"], SHOWN))
    header, *lines = rows(results)
    return f"{said}\n\n{shown}\n\n{page_block.markdown(header, lines)}"


if __name__ == "__main__":
    sys.exit(main())
