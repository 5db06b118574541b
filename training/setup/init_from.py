"""Where a run's model starts: from nothing, or from a trained one, whose description then wins over defaults.

A run that goes on takes the description from its own checkpoint, so that it needs the model it started from no more.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from data_pipeline.errors import UserError, shown
from data_pipeline.reading.exclude_list import read_exclude_list
from data_pipeline.recordings.audio import PRESETS
from data_pipeline.text.new_tokens import new_tokens
from data_pipeline.text.tokens import Vocabulary
from inference.options import BASE, BASE_LICENSE
from inference.pretrained import has_base, load_description, load_weights, model_folder
from modeling.configuration import SIZES, GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from training.config.fields import Layer, Provenance, RunConfig, get, is_user_set
from training.setup.inputs import open_training


class Described(NamedTuple):
    """The folder or Hub id whose model is of a run's kind, and whether it is a checkpoint of the run itself."""

    where: str
    is_own: bool


def described_by(config: RunConfig) -> Described | None:
    """The run's own checkpoint, where it goes on from one, else what --init-from names; None: a new model.

    Raises UserError where --init-from names no model.
    """
    start, resume = config.fine_tune.init_from, config.checkpoint.resume
    if start is None:
        return None
    if of_own_checkpoint(config, "config.json") is None:
        return Described(model_folder(start), False)
    return Described(model_folder(config.checkpoint.dir) if resume == "auto" else resume, True)


def of_own_checkpoint(config: RunConfig, name: str) -> Path | None:
    """That file of the checkpoint which the run goes on from: the newest, or --resume's.

    None where there is none; that of a --resume which leads nowhere is said when it is loaded.
    """
    own, resume = Path(config.checkpoint.dir), config.checkpoint.resume
    if resume != "auto":
        named = Path(resume) / name
        return named if os.path.isfile(named) else None
    if config.checkpoint.reset or not os.path.isdir(own):  # glob raises where no folder can be of that name
        return None
    return max(own.glob(f"checkpoints/step-????????/{name}"), default=None)


def default_start_layer(config: RunConfig, provenance: Provenance, size: str) -> Layer:
    """The model that ships, for a run whose model would be of its kind anyway, and that names no other start.

    A run that has checkpoints goes on as it began, with it or, in a folder of an earlier version, without.

    Args:
        size: that the run has without a model to start from.
    """
    state = of_own_checkpoint(config, "training_state.json")
    if state is not None:
        return {"fine_tune.init_from": (BASE, "as this run began")} if _began_from(state) == BASE else {}
    if not has_base():
        return {}
    own = kind_of(*load_description(model_folder(BASE)), BASE)
    given = {key: get(config, key) for key in own if is_user_set(provenance, key)}
    if size != own["model.size"] or any(value != own[key] for key, value in given.items()):
        return {}
    reason = f"a small model: from the one that ships ({BASE_LICENSE}); from nothing: --init-from none"
    return {"fine_tune.init_from": (BASE, reason)}


def _began_from(state: Path) -> str | None:
    """What --init-from was when the run of a checkpoint was started. A checkpoint that is damaged is met later."""
    try:
        return json.loads(state.read_text(encoding="utf-8"))["config"]["fine_tune"]["init_from"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def init_from_layer(config: RunConfig, provenance: Provenance) -> Layer:
    """What the model of --init-from settles. Raises UserError for an explicit value that contradicts it."""
    described = described_by(config)
    assert described is not None, "asked of a run with --init-from"
    start = config.fine_tune.init_from
    trained, processor = load_description(described.where)
    found = kind_of(trained, processor, start)
    for key, value in found.items():
        if is_user_set(provenance, key) and get(config, key) != value:
            raise UserError(
                f"{key} is {get(config, key)} ({provenance[key]}), and the model of --init-from {start} has {value}; "
                "leave it out, or start from another model."
            )
    found["model.prenet_dropout"] = trained.prenet_dropout  # no weight depends on it: it can be set to another
    return {key: (value, "that of the model it starts from") for key, value in found.items()}


def kind_of(trained: GoyaConfig, processor: GoyaProcessor, where: str) -> dict[str, Any]:
    """What a trained model settles of the run that starts from it. Raises UserError where no setting says it."""
    return {
        "model.size": _named(where, SIZES, {key: getattr(trained, key) for key in SIZES["debug"]}, "size"),
        "model.frames_per_step": trained.frames_per_step,
        "audio.preset": _named(where, {k: asdict(v) for k, v in PRESETS.items()}, trained.audio, "audio preset"),
        "data.text_units": processor.tokenizer.vocabulary.units,
    }


def _named(where: str, known: dict[str, dict], found: dict, what: str) -> str:
    for name, values in known.items():
        if values == found:
            return name
    raise UserError(
        f"{where} has an {what} that is none of {', '.join(known)}: {shown(found)}. Start from another model."
    )


def initial_model(config: RunConfig) -> tuple[GoyaForTextToSpeech, Vocabulary]:
    """The model to train, and how it reads texts. A run that goes on needs its shape; a checkpoint brings the weights.

    Raises UserError where the model of --init-from or the corpus cannot be read.
    """
    described = described_by(config)
    if described is None:
        vocabulary = Vocabulary(units=config.data.text_units)
        return GoyaForTextToSpeech(new_config(config, vocabulary)), vocabulary
    trained, processor = load_description(described.where)
    vocabulary = processor.tokenizer.vocabulary
    trained.prenet_dropout, trained.stop_smoothing = config.model.prenet_dropout, config.loss.stop_smoothing
    if described.is_own:
        return GoyaForTextToSpeech(trained), vocabulary
    model = load_weights(described.where, trained)
    added = new_tokens(
        vocabulary, open_training(config), config.data.language, read_exclude_list(config.data.exclude_list)
    )
    model.config.new_tokens = len(added)
    if added:
        # Like the rows of a new model. The mean of the old rows would have all new tokens begin alike.
        model.resize_token_embeddings(len(vocabulary) + len(added), mean_resizing=False)
    return model, vocabulary.grown(added)


def reading_vocabulary(config: RunConfig) -> Vocabulary:
    """How a run's model will read texts, or that of --init-from does, without what its corpus may add.

    Raises UserError where --init-from names no model.
    """
    described = described_by(config)
    if described is None:
        return Vocabulary(units=config.data.text_units)
    return load_description(described.where)[1].tokenizer.vocabulary


def new_config(config: RunConfig, vocabulary: Vocabulary) -> GoyaConfig:
    """What a new model of the configured size and mel convention is."""
    audio = PRESETS[config.audio.preset]
    given = {"frames_per_step": config.model.frames_per_step} if config.model.frames_per_step else {}
    return GoyaConfig.of_size(
        config.model.size,
        vocab_size=len(vocabulary),
        n_mels=audio.n_mels,
        audio=asdict(audio),
        prenet_dropout=config.model.prenet_dropout,
        stop_smoothing=config.loss.stop_smoothing,
        **given,
    )
