"""Where a trained model is, and what it is: run folders, checkpoints, model folders, Hub ids, and
the model that ships. No pickle is read."""

import os
import shlex
from pathlib import Path

import torch

from data_pipeline.errors import UserError
from inference.checked_model import checked_config, checked_processor
from inference.options import BASE
from inference.safe_folder import (
    DESCRIPTION,
    WEIGHTS,
    check_fit,
    check_memory,
    fetched,
    read_json,
    read_weights,
    stored_weights,
)
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor

SHIPPED = Path(__file__).resolve().parents[1] / "assets" / "base_model"


def model_folder(where: str) -> str:
    """A run folder's best model, else its newest checkpoint; a model's own folder or a Hub id as it is.

    Raises UserError where there is none.
    """
    return next(iter(model_folders(where).values()))


def model_folders(where: str) -> dict[str, str]:
    """Everything in a run folder that may speak, by name: best, then the checkpoints, the newest first.

    Of a model's own folder, a Hub id or BASE, itself alone. Raises UserError where there is none.
    """
    path = SHIPPED if where == BASE else Path(where)
    if where == BASE and not has_base():
        raise UserError(f"The model that ships is not there ({SHIPPED}); take it from the repository, or name another.")
    if not os.path.exists(path):
        if where.count("/") == 1 and not where.startswith((".", "/")) and not where.startswith("runs/"):
            return {where: where}
        raise UserError(
            f"{where} does not exist; expected a run folder (as training printed it), a model folder, or "
            "a Hub id (owner/name)."
        )
    if (path / "config.json").is_file():
        return {path.resolve().name: str(path)}
    candidates = [path / "best", *sorted(path.glob("checkpoints/step-????????"), reverse=True)]
    found = {folder.name: str(folder) for folder in candidates if (folder / "config.json").is_file()}
    if not found:
        raise UserError(
            f"{where} holds no model: neither config.json, nor best/, nor checkpoints/. The first checkpoint "
            "may not be written yet."
        )
    return found


def has_base() -> bool:
    """Whether this checkout has the model that ships; a package without its assets has not."""
    return (SHIPPED / "config.json").is_file()


def device_to_use(wanted: str) -> str:
    """ "auto" is a GPU where there is one. Raises UserError where one is asked for that torch does not find."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(device for device, is_there in found.items() if is_there)
    if not found[wanted]:
        raise UserError(f"--device is {wanted} and torch finds no GPU; leave it out to speak on what there is.")
    return wanted


def load_description(where: str) -> tuple[GoyaConfig, GoyaProcessor]:
    """Configuration and processor of what `model_folder` found, which need not be to trust.

    Of its JSON only Goya's own fields are read, each checked: whatever else transformers would act on (another
    model's weights, kernels, adapters) is left alone. Raises UserError where they cannot be had.
    """
    folder = fetched(where, DESCRIPTION)
    config = checked_config(read_json(folder, "config.json"), where)
    processor = checked_processor(folder, config)
    with_no_weights(config, where)
    return config, processor


def with_no_weights(config: GoyaConfig, where: str) -> GoyaForTextToSpeech:
    """The model on torch's device meta: all shapes, no memory. Raises UserError where they would not fit into it."""
    with torch.device("meta"):
        model = GoyaForTextToSpeech(config)
    check_memory(sum(parameter.numel() for parameter in model.parameters()), where)
    return model


def load_weights(where: str, config: GoyaConfig) -> GoyaForTextToSpeech:
    """The model of what `model_folder` found, with `config` in place of its own. Raises UserError.

    Every weight comes from safetensors, and none is missing: transformers would fill it at random.
    """
    if (Path(where) / "model").is_dir() and not (Path(where) / WEIGHTS).is_file():
        export = f"python -m training.export {shlex.quote(where)} OUT"
        raise UserError(f"{where} holds its weights in shards. Make them whole: {export}")
    stored = stored_weights(fetched(where, (*DESCRIPTION, "*.safetensors")))
    model = with_no_weights(config, where)
    check_fit(model.state_dict(), stored, where)
    model.load_state_dict(read_weights(stored), assign=True)
    return model.eval()


def load(where: str, device: str = "cpu") -> tuple[GoyaForTextToSpeech, GoyaProcessor]:
    """Model, to speak with, and processor of a run folder, a model's folder or a Hub id (`model_folder`).

    Raises UserError where they cannot be had.
    """
    where = model_folder(where)
    config, processor = load_description(where)
    return load_weights(where, config).to(device).eval(), processor
