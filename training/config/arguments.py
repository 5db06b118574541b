"""The command line: flags, a config file and --set, as the values given by hand.

Flags carry text only; `training.config.fields.coerce` gives it a type and a range, the same for flags, file and
--set. Whatever is wrong raises UserError, which the front end prints before it exits with 2; --help,
--print-config and --show-text print and exit with 0. --help answers before torch is imported.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_pipeline.errors import UserError, shown
from training.config.config_file import read_file
from training.config.fields import RENAMED, Layer, Provenance, RunConfig, choices, coerce, flatten, nearest
from training.config.hf_flags import UNDERSTOOD, translated
from training.config.levels import LEVELS, REFERENCE_WIDTH

if TYPE_CHECKING:
    from training.config.hardware import Hardware

# Group -> flag -> (dotted key, help). A flag of a field with choices shows them.
FLAGS: dict[str, dict[str, tuple[str, str]]] = {
    "data": {
        "--train-data": ("data.train_data", "folder, csv, jsonl, parquet, tar, or the id of a Hub dataset"),
        "--val-data": ("data.val_data", "the same; without it a fixed share of --train-data is held out"),
        "--dataset-config": ("data.dataset_config", "configuration of a Hub dataset"),
        "--text-column": ("data.text_column", "column of the transcript"),
        "--audio-column": ("data.audio_column", "column of the audio: a path, bytes, or samples"),
        "--speaker-column": ("data.speaker_column", "column of the speaker"),
        "--language-column": ("data.language_column", "column of the language"),
        "--language": ("data.language", "language of rows that name none, such as fa"),
        "--exclude-list": ("data.exclude_list", "file with the ids of rows to leave out, as --check-data writes it"),
        "--num-workers": ("data.num_workers", "loading processes per training process"),
        "--max-batch-frames": ("data.max_batch_frames", "padded mel frames per device and batch, at most"),
    },
    "model": {
        "--model-size": ("model.size", "without it, by the device and its memory"),
    },
    "training": {
        "--optimization-level": ("train.level", "the recipe (default: enhanced)"),
        "--batch-size": ("train.batch_size", "utterances per device and batch, at most"),
        "--grad-accum": ("train.grad_accum", "batches per optimizer step"),
        "--lr": ("optim.lr", "peak learning rate of all parameters, used as given"),
        "--epochs": ("train.epochs", "passes over the data, at most"),
        "--max-steps": ("train.max_steps", "optimizer steps, at most"),
        "--max-minutes": ("train.max_minutes", "training time, at most; the schedule is fitted to it"),
        "--seed": ("train.seed", "of data order and initial weights"),
        "--device": ("train.device", "where to train (default: auto)"),
        "--mixed-precision": ("train.mixed_precision", "without it, the best that is native"),
    },
    "fine-tuning": {
        "--init-from": ("fine_tune.init_from", "start from this model: a run folder, a model's folder, or a Hub id"),
        "--freeze": ("fine_tune.freeze", "parameters that stay as they are, such as text_encoder,decoder.layers"),
        "--lora-rank": ("fine_tune.lora_rank", "train adapters of this rank in place of the matrices (extra lora)"),
    },
    "hub": {
        "--push-to-hub": ("hub.push_to_hub", "push the model to this repository (owner/name) whenever it is better"),
        "--hub-branch": ("hub.branch", "branch of the repository, such as one for each run (default: main)"),
        "--resume-from-hub": ("hub.resume_from_hub", "go on from the training state in this repository"),
    },
    "run folder": {
        "--checkpoint-dir": ("checkpoint.dir", "the run folder: checkpoints, samples, logs"),
        "--tracker": ("log.tracker", "where curves and samples go (default: tensorboard)"),
    },
}
SWITCHES: dict[str, dict[str, tuple[str, str]]] = {
    "training": {
        "--apply-fast-convergence": ("train.fast_convergence", "overlay on the level: speech comes early"),
        "--debug": ("train.debug", "a half-minute end-to-end run of the debug size"),
    },
    "hub": {
        "--public": ("hub.public", "make a new repository that everybody can read (default: private)"),
    },
    "run folder": {
        "--reset-training": ("checkpoint.reset", "move an old run in the folder aside and start over"),
    },
}
# What a flag takes, where its own last word does not say it.
METAVARS = {
    "--dataset-config": "NAME",
    "--exclude-list": "FILE",
    "--num-workers": "NUMBER",
    "--max-batch-frames": "NUMBER",
    "--batch-size": "NUMBER",
    "--grad-accum": "NUMBER",
    "--lr": "RATE",
    "--init-from": "MODEL",
    "--freeze": "NAMES",
    "--push-to-hub": "OWNER/NAME",
    "--resume-from-hub": "OWNER/NAME",
}
# Flags that may be repeated: flag -> (key of a mapping, metavar, help).
REPEATED = {
    "training": {
        "--callback": (
            "train.callbacks",
            "PACKAGE.MODULE:CLASS",
            "add a transformers.TrainerCallback of yours (docs/extending.md), or one by the name that an installed "
            "package gives it; may be repeated. Arguments stand in the config file, as train: {callbacks: "
            "{package.module:Class: {argument: value}}}",
        ),
    },
}
# Flags that can stand alone: flag -> (key, the value it then has, metavar, help).
ALONE = {
    "data": {
        "--check-data": (
            "data.check_data",
            "run",
            "FOLDER",
            "do not train, report on the corpus, into this folder (default: data_check in the run folder)",
        ),
    },
    "run folder": {
        "--resume": (
            "checkpoint.resume",
            "auto",
            "PATH",
            "go on from a checkpoint, or none (default: from the newest in the run folder)",
        ),
    },
}


LANGUAGE_OF_NONE = "en"  # of --show-text, as of synthesize.py


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UserError(f"{message[:1].upper()}{message[1:]}".rstrip(".") + ". --help lists all flags.")


def build_parser() -> argparse.ArgumentParser:
    """Every flag, in groups; values stay text and absent flags stay None."""
    parser = _Parser(
        prog="train_main.py",
        description="Train a text-to-speech voice. With no flag at all: the embedded demo corpus.",
        epilog="Flags may be spelled with underscores, and those of Hugging Face's scripts are understood too: "
        "--output_dir, --learning_rate, --per_device_train_batch_size, --num_train_epochs and others.",
        allow_abbrev=False,
    )
    for title, flags in FLAGS.items():
        group = parser.add_argument_group(title)
        for flag, (key, text) in flags.items():
            metavar = METAVARS.get(flag, flag.rpartition("-")[2].upper())
            metavar = "{" + ",".join(choices(key)) + "}" if choices(key) else metavar
            group.add_argument(flag, dest=key, metavar=metavar, help=text + by_level(key))
        for flag, (key, text) in SWITCHES.get(title, {}).items():
            group.add_argument(flag, dest=key, action="store_const", const=True, help=text)
        for flag, (key, metavar, text) in REPEATED.get(title, {}).items():
            group.add_argument(flag, dest=key, action="append", metavar=metavar, help=text)
        for flag, (key, alone, metavar, text) in ALONE.get(title, {}).items():
            group.add_argument(flag, dest=key, nargs="?", const=alone, metavar=metavar, help=text)
    group = parser.add_argument_group("configuration")
    group.add_argument("--config", metavar="FILE", help="json or yaml; flags win over it")
    assign = "any other setting, such as loss.kl_weight=0.5; may be repeated, and wins over the flags"
    group.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=assign)
    show = "show every setting and where it came from, as yaml for --config, and exit"
    group.add_argument("--print-config", action="store_true", help=show)
    read = "show how a text is normalized and what tokens it is read as, and exit; - takes the lines of standard input"
    group.add_argument("--show-text", metavar="TEXT", help=read)
    return parser


def by_level(key: str) -> str:
    """What each level makes of a setting, for --help; nothing where no level touches it."""
    values = {name: level.values()[key] for name, level in LEVELS.items() if key in level.values()}
    at = f" at width {REFERENCE_WIDTH}" if key == "optim.lr" else ""
    told = ", ".join(f"{name} {value:g}" for name, value in values.items())
    return f" (default{at}: {told})" if told else ""


def parse(
    argv: Sequence[str] | None = None, hardware: "Hardware | None" = None
) -> "tuple[RunConfig, Provenance, Hardware]":
    """The configuration, where each value came from, and the machine it is for.

    `argv`: None takes the command line. `hardware`: None asks the machine. Raises UserError for a mistake in
    a flag, a file or a value, and SystemExit(0) after --help, --print-config and --show-text.
    """
    parser = build_parser()
    words = translated(sys.argv[1:] if argv is None else argv, parser._option_string_actions)
    given, unknown = parser.parse_known_args(words)
    if unknown:
        flag = unknown[0].partition("=")[0]
        known = [*parser._option_string_actions, *UNDERSTOOD]
        suggestion = nearest(flag.replace("_", "-"), known) or " --help lists all flags."
        raise UserError(f"There is no flag {shown(repr(flag)[1:-1])}.{suggestion}")
    by_hand = _by_hand(given)

    from training.config.hardware import detect
    from training.config.resolve import as_yaml, resolve

    hardware = hardware or detect(by_hand.get("train.device", ("auto", ""))[0])
    config, provenance = resolve(by_hand, hardware)
    if given.print_config:
        if os.environ.get("RANK", "0") == "0":
            print(as_yaml(config, provenance))
        raise SystemExit(0)
    if given.show_text is not None:
        if os.environ.get("RANK", "0") == "0":
            show_text(given.show_text, config)
        raise SystemExit(0)
    return config, provenance, hardware


def show_text(text: str, config: RunConfig) -> None:
    """Print what the model will read of a text ("-": of each line of standard input). Raises UserError."""
    from data_pipeline.shown_text import given_texts, shown_text
    from training.setup.init_from import reading_vocabulary

    vocabulary, language = reading_vocabulary(config), config.data.language or LANGUAGE_OF_NONE
    where = "" if config.data.language else " (none was named: --language)"
    print(f"{'language':<12}{language}{where}")
    for one in given_texts(text, sys.stdin):
        print(f"\n{shown_text(one, language, vocabulary)}")


def _by_hand(given: argparse.Namespace) -> Layer:
    """Typed values of the file, then the flags, then --set, each over the one before."""
    layer: Layer = {}
    if given.config is not None:
        source = f"file {given.config}"
        for key, value in flatten(read_file(given.config), source).items():
            layer[key] = (coerce(key, value, source), source)
    groups: tuple[dict[str, Any], ...] = (*FLAGS.values(), *SWITCHES.values(), *ALONE.values())
    for flag, (key, *_) in (item for flags in groups for item in flags.items()):
        text = getattr(given, key)
        if text is not None:
            layer[key] = (coerce(key, text, f"flag {flag}"), f"flag {flag}")
    for flag, (key, *_) in (item for flags in REPEATED.values() for item in flags.items()):
        named, before = getattr(given, key) or [], layer.get(key, ({}, ""))[0]
        if named:
            layer[key] = (coerce(key, {name: before.get(name, {}) for name in [*before, *named]}, flag), f"flag {flag}")
    for assignment in given.set:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise UserError(f"--set {assignment} has no value; expected --set key=value, as in loss.kl_weight=0.5.")
        key = RENAMED.get(key, key)
        layer[key] = (coerce(key, text, f"--set {key}"), f"--set {key}")
    return layer
