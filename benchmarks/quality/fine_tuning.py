"""Fine-tuning on ten minutes of another language: python -m benchmarks.quality.fine_tuning --base RUN --packages FOLDER

Italian telephone prompts (corpora/telephone_prompts.py), trained on from the demo corpus' model with everything
free, also with as many rows of the demo corpus beside them, with the decoder frozen, and with adapters, and without it,
from scratch: as many steps each as five minutes of the main job had (results/main_job.json).
Extras: pip install -e ".[eval,espeak,lora]".

Judged by how like the recordings it sounds (likeness.py). Prints one table and writes
results/fine_tuning.json; --docs puts it into docs/measured.md. What follows -- goes to train_main.py.
"""

import argparse
import shutil
import sys
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.corpora import telephone_prompts
from benchmarks.harness import command_line
from benchmarks.harness.command_line import read_json
from benchmarks.harness.places import DEMO, RESULTS, ROOT
from benchmarks.harness.provenance import origin
from benchmarks.quality import heldout_speech as speech
from benchmarks.quality import likeness
from benchmarks.report import page_block
from data_pipeline.errors import UserError
from data_pipeline.reading.sources import open_source
from inference.plots import write_picture

OUT = RESULTS / "fine_tuning.json"
MINUTES_OF_SPEECH, MINUTES_OF_TRAINING = 10, 5
PICTURES = 3
COMMON = "--apply-fast-convergence --device cpu --set log.samples=0 --set log.quality_sentences=0".split()
# Run -> what its command has beside the corpus and the number of steps; BASE is the demo corpus' model, REPLAY the
# corpus with rows of the demo corpus.
RUNS = {
    "fine-tuned": "--init-from BASE",
    "with old rows": "--init-from BASE --train-data REPLAY",
    "decoder frozen": "--init-from BASE --freeze decoder.layers,decoder.postnet",
    "adapters": "--init-from BASE --lora-rank 16",
    "from scratch": "--model-size tiny --init-from none",
}
BEFORE = "the model it starts from"

# Figure -> (what a reader is told, how its value is shown).
SHOWN = likeness.SHOWN | {
    "eval_mel": ("teacher-forced mel L1", "{:.3f}"),
    "eval_end_accuracy": ("token ends right", "{:.1%}"),
    "eval_alignment": ("alignment, nats a step", "{:.3f}"),
    "english_cer": ("English CER", "{:.1%}"),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--base", help="run folder of the demo corpus' model")
    parser.add_argument("--packages", type=Path, help="folder of the .deb files of the prompts")
    work = ROOT / "runs" / "fine_tuning"
    parser.add_argument("--work", type=Path, default=work, help="corpus, runs, pictures (default: %(default)s)")
    parser.add_argument("--language", default="it", choices=telephone_prompts.VOICES, help="(default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS), help="these runs only")
    command_line.add_output(parser, OUT)
    return parser


def main(argv: list[str] | None = None) -> int:
    own, more = command_line.before_dashes(argv)
    arguments = build_parser().parse_args(own)
    return command_line.finish(arguments, "fine_tuning", block, partial(measure, arguments, more))


def measure(arguments, more: list[str]) -> None:
    if not arguments.base or not arguments.packages:
        raise UserError("--base and --packages are needed to measure; --help says what they are.")
    corpus = arguments.work / arguments.language
    if not (corpus / "train.parquet").is_file():
        telephone_prompts.make(arguments.packages, arguments.language, MINUTES_OF_SPEECH, corpus)
    replayed = with_old_rows(corpus, corpus.with_name(f"{arguments.language}_with_old_rows"))
    source = open_source(str(corpus), split="validation")
    utterances = [source.to_utterance(row) for row in source.rows()]
    judge = Judge(utterances, arguments.work / "pictures")
    results = origin() | {
        "steps": five_minutes_of_steps(),
        "sentences": len(utterances),
        "english_cer_sentences": len(speech.heldout()["en"]),
        "recordings": judge.recordings.bounds(),
        "commands": {},
        "figures": {},
    }
    for name in arguments.only:
        folder = arguments.work / name.replace(" ", "_")
        start = RUNS[name].replace("BASE", arguments.base).replace("REPLAY", str(replayed)).split()
        words = ["--train-data", str(corpus), "--max-steps", str(results["steps"]), *COMMON, *start, *more]
        results["commands"][name] = train(words, folder)
        report = read_json(folder / "report.json")
        if BEFORE not in results["figures"]:
            results["figures"][BEFORE] = judge(Path(arguments.base), report["config"])
        results["seeds"] = {"training": report["config"]["train"]["seed"], "synthesis": [0]}
        trained = {"training_seconds": report["result"]["seconds"]}
        results["figures"][name] = judge(folder, report["config"]) | trained
        # After each, as a run can take long.
        command_line.write_json(results, arguments.out)
    print(f"\n{table(results)}\n\nWritten to {arguments.out}.")


def with_old_rows(corpus: Path, out: Path) -> Path:
    """The corpus with as many rows of the demo corpus: experience replay (Rolnick et al. 2019)."""
    new = pq.read_table(corpus / "train.parquet")
    old = pa.concat_tables(pq.read_table(file) for file in sorted(DEMO.glob("train-*.parquet")))
    out.mkdir(exist_ok=True)
    pq.write_table(new, out / "train-new.parquet")
    pq.write_table(old.take([place * len(old) // len(new) for place in range(len(new))]), out / "train-old.parquet")
    shutil.copy(corpus / "validation.parquet", out)
    return out


def five_minutes_of_steps() -> int:
    """Of the size tiny on a quiet machine of two cores, as the main job was measured."""
    figures = read_json(RESULTS / "main_job.json")["figures"]
    return round(figures["steps"] / figures["training_seconds"] * 60 * MINUTES_OF_TRAINING)


def train(words: list[str], folder: Path) -> str:
    """The command, run unless it was: its folder then holds a report. Raises UserError if it fails."""
    words = [*words, "--checkpoint-dir", str(folder)]
    if not (folder / "report.json").is_file():
        command_line.train(*words)
    return "python " + " ".join(["train_main.py", *words])


class Judge:
    """What a model makes of the held-out sentences, and of English ones."""

    def __init__(self, utterances: list, pictures: Path):
        self.recordings, self.pictures = likeness.Recordings(utterances), pictures
        pictures.mkdir(parents=True, exist_ok=True)

    def __call__(self, folder: Path, config: dict) -> dict:
        speaker = speech.Speaker(folder)
        spoken = speaker.speak(self.recordings.utterances)
        for index, one in enumerate(spoken[:PICTURES]):
            write_picture(self.pictures / f"{folder.name}_{index}.png", one, speaker.audio.frames_per_s)
        english, _ = speech.spoken_figures(speech.heldout(), speaker, [0])
        forced = teacher_forced(speaker, config)
        return self.recordings.likeness(speaker, spoken) | forced | {"english_cer": english["cer_model"]}


def teacher_forced(speaker: speech.Speaker, config: dict) -> dict[str, float]:
    """Validation measures on the corpus of `config`, as report.json has it."""
    found = speaker.validated(speaker.validation_loader(config))
    return {name: found[name] for name in ("eval_mel", "eval_end_accuracy", "eval_alignment")}


def rows(results: dict) -> list[list[str]]:
    figures = results["figures"]
    lines = [["", *(label for label, _ in SHOWN.values())]]
    for name, found in figures.items():
        lines.append([name, *(form.format(found[key]) if key in found else "-" for key, (_, form) in SHOWN.items())])
    for key, name in (("copies", "vocoded copies of the recordings"), ("others", "recordings of other sentences")):
        heard, mcd = (results["recordings"][f"{figure}_{key}"] for figure in ("heard", "mcd"))
        shown = [SHOWN["heard"][1].format(heard), SHOWN["mcd"][1].format(mcd)]
        lines.append([name, *shown, *["-"] * (len(SHOWN) - len(shown))])
    return lines


def table(results: dict) -> str:
    heading = f"{results['machine']}; {results['date']}; {results['steps']} steps\n"
    return heading + page_block.columns(rows(results))


def block(results: dict) -> str:
    """The figures as a markdown table, with a column for each model."""
    said = (
        f"`python -m benchmarks.quality.fine_tuning`: {MINUTES_OF_SPEECH} minutes of Italian prompts, "
        f"{results['steps']} steps ({MINUTES_OF_TRAINING} minutes of a quiet CPU of two cores), {results['sentences']} "
        f"held-out sentences and {results['english_cer_sentences']} English ones; one seed. Heard as the recording: "
        "the English recognizer hears model and recording, and what it writes is compared. "
    )
    header, *turned = [list(line) for line in zip(*rows(results), strict=True)]
    return f"{said}{page_block.source(results, 'fine_tuning')}\n\n{page_block.markdown(header, turned)}"


if __name__ == "__main__":
    sys.exit(main())
