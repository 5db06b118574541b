"""The command line: flags, a config file and --set, as the values given explicitly.

Flags carry text only; `training.config.fields.coerce` gives it a type and a range, the same for flags, file and
--set. Whatever is wrong raises UserError, which the front end prints before it exits with 2; --help,
--print-config and --show-text print and exit with 0. --help answers before torch is imported.
"""

import argparse
import os
import sys
import typing
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_pipeline.errors import UserError, shown
from training.config.config_file import read_file
from training.config.described import default, words
from training.config.fields import FIELDS, RENAMED, Layer, Provenance, RunConfig, choices, coerce, flatten, nearest
from training.config.hf_flags import UNDERSTOOD, translated

if TYPE_CHECKING:
    from training.config.hardware import Hardware

# Group -> flag -> dotted key. What a flag means, and whether it is a switch, its field says.
FLAGS: dict[str, dict[str, str]] = {
    "data": {
        "--train-data": "data.train_data",
        "--val-data": "data.val_data",
        "--dataset-config": "data.dataset_config",
        "--text-column": "data.text_column",
        "--audio-column": "data.audio_column",
        "--speaker-column": "data.speaker_column",
        "--language-column": "data.language_column",
        "--language": "data.language",
        "--exclude-list": "data.exclude_list",
        "--num-workers": "data.num_workers",
        "--max-batch-frames": "data.max_batch_frames",
        "--check-data": "data.check_data",
    },
    "model": {
        "--model-size": "model.size",
    },
    "training": {
        "--optimization-level": "train.level",
        "--batch-size": "train.batch_size",
        "--grad-accum": "train.grad_accum",
        "--lr": "optim.lr",
        "--epochs": "train.epochs",
        "--max-steps": "train.max_steps",
        "--max-minutes": "train.max_minutes",
        "--seed": "train.seed",
        "--device": "train.device",
        "--mixed-precision": "train.mixed_precision",
        "--apply-fast-convergence": "train.fast_convergence",
        "--debug": "train.debug",
        "--callback": "train.callbacks",
    },
    "fine-tuning": {
        "--init-from": "fine_tune.init_from",
        "--freeze": "fine_tune.freeze",
        "--lora-rank": "fine_tune.lora_rank",
    },
    "hub": {
        "--push-to-hub": "hub.push_to_hub",
        "--hub-branch": "hub.branch",
        "--resume-from-hub": "hub.resume_from_hub",
        "--public": "hub.public",
    },
    "run folder": {
        "--checkpoint-dir": "checkpoint.dir",
        "--tracker": "log.tracker",
        "--reset-training": "checkpoint.reset",
        "--resume": "checkpoint.resume",
    },
}
KEYS = {flag: key for flags in FLAGS.values() for flag, key in flags.items()}
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
    "--callback": "PACKAGE.MODULE:CLASS",
    "--check-data": "FOLDER",
    "--resume": "PATH",
}
ALONE = {"--check-data": "run", "--resume": "auto"}  # flags that can stand alone -> the value that they then have


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
        for flag, key in flags.items():
            group.add_argument(flag, dest=key, help=help_of(key), **_form(flag, key))
    group = parser.add_argument_group("configuration")
    group.add_argument("--config", metavar="FILE", help="json or yaml; flags win over it")
    assign = "any other setting, such as loss.kl_weight=0.5; may be repeated, and wins over the flags"
    group.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help=assign)
    show = "show every setting and where it came from, as yaml for --config, and exit"
    group.add_argument("--print-config", action="store_true", help=show)
    read = "show how a text is normalized and what tokens it is read as, and exit; - takes the lines of standard input"
    group.add_argument("--show-text", metavar="TEXT", help=read)
    return parser


def help_of(key: str) -> str:
    text, told = words(key), default(key)
    text += "; may be repeated" if is_mapping(key) else ""
    return text + (f" (default: {told})" if told else "")


def is_mapping(key: str) -> bool:
    return typing.get_origin(FIELDS[key][1]) is dict


def _form(flag: str, key: str) -> dict[str, Any]:
    """How argparse takes a flag: a switch, one that may be repeated, one that can stand alone, or one with a value."""
    hint = FIELDS[key][1]
    if hint is bool:
        return {"action": "store_const", "const": True}
    metavar = METAVARS.get(flag, flag.rpartition("-")[2].upper())
    form: dict[str, Any] = {"metavar": "{" + ",".join(choices(key)) + "}" if choices(key) else metavar}
    if is_mapping(key):
        form |= {"action": "append"}
    if flag in ALONE:
        form |= {"nargs": "?", "const": ALONE[flag]}
    return form


def parse(
    argv: Sequence[str] | None = None, hardware: "Hardware | None" = None
) -> "tuple[RunConfig, Provenance, Hardware]":
    """The configuration, where each value came from, and the machine it is for.

    `argv`: None takes the command line. `hardware`: None asks the machine. Raises UserError for a mistake in
    a flag, a file or a value, and SystemExit(0) after --help, --print-config and --show-text.
    """
    parser = build_parser()
    line = translated(sys.argv[1:] if argv is None else argv, parser._option_string_actions)
    given, unknown = parser.parse_known_args(line)
    if unknown:
        flag = unknown[0].partition("=")[0]
        known = [*parser._option_string_actions, *UNDERSTOOD]
        suggestion = nearest(flag.replace("_", "-"), known) or " --help lists all flags."
        raise UserError(f"There is no flag {shown(repr(flag)[1:-1])}.{suggestion}")
    user_set = _user_values(given)

    from training.config.hardware import detect
    from training.config.resolve import as_yaml, resolve

    hardware = hardware or detect(user_set.get("train.device", ("auto", ""))[0])
    config, provenance = resolve(user_set, hardware)
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
    from data_pipeline.text.shown_text import given_texts, shown_text
    from training.setup.init_from import reading_vocabulary

    vocabulary, language = reading_vocabulary(config), config.data.language or LANGUAGE_OF_NONE
    where = "" if config.data.language else " (none was named: --language)"
    print(f"{'language':<12}{language}{where}")
    for one in given_texts(text, sys.stdin):
        print(f"\n{shown_text(one, language, vocabulary)}")


def _user_values(given: argparse.Namespace) -> Layer:
    """Typed values of the file, then the flags, then --set, each over the one before."""
    layer: Layer = {}
    if given.config is not None:
        source = f"file {given.config}"
        for key, value in flatten(read_file(given.config), source).items():
            layer[key] = (coerce(key, value, source), source)
    for flag, key in KEYS.items():
        said = getattr(given, key)
        if said is not None and is_mapping(key):  # the names of entries; what the file says of them stays
            before = layer.get(key, ({}, ""))[0]
            said = {name: before.get(name, {}) for name in [*before, *said]}
        if said is not None:
            layer[key] = (coerce(key, said, f"flag {flag}"), f"flag {flag}")
    for assignment in given.set:
        key, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise UserError(f"--set {assignment} has no value; expected --set key=value, as in loss.kl_weight=0.5.")
        key = RENAMED.get(key, key)
        layer[key] = (coerce(key, text, f"--set {key}"), f"--set {key}")
    return layer
