"""Where a trained model is, and what it is: run folders, checkpoints, model folders, Hub ids. No pickle is read."""

from pathlib import Path

import torch

from data_pipeline.errors import UserError
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from modeling.voices import check_voices


def model_folder(where: str) -> str:
    """A run folder's best model, else its newest checkpoint; a model's own folder or a Hub id as it is.

    Raises UserError where there is none.
    """
    return next(iter(model_folders(where).values()))


def model_folders(where: str) -> dict[str, str]:
    """Everything in a run folder that may speak, by name: best, then the checkpoints, the newest first.

    Of a model's own folder or a Hub id, itself alone. Raises UserError where there is none.
    """
    path = Path(where)
    if not path.exists():
        if where.count("/") == 1 and not where.startswith((".", "/")) and not where.startswith("runs/"):
            return {where: where}
        raise UserError(
            f"{where} does not exist; expected a run folder (as train_main.py printed it), a model folder, or "
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


def check_device(device: str) -> None:
    """Raises UserError where a GPU is asked for and there is none."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device is cuda and torch finds no GPU; leave it out to speak on the CPU.")


def load_description(where: str) -> tuple[GoyaConfig, GoyaProcessor]:
    """Configuration and processor of what `model_folder` found. Raises UserError where they cannot be had."""
    try:
        found, _ = GoyaConfig.get_config_dict(where)
        if found.get("model_type") != GoyaConfig.model_type:
            raise UserError(f"{where} is a model of the kind {found.get('model_type')!r}; expected one of Goya's.")
        config = GoyaConfig.from_pretrained(where)
        check_voices(config, where)
        return config, GoyaProcessor.from_pretrained(where)
    except OSError as error:  # not on the Hub, no network, or files missing
        raise _not_loaded(where, error) from error


def load_weights(where: str, config: GoyaConfig) -> GoyaForTextToSpeech:
    """The model of what `model_folder` found, with `config` in place of its own. Raises UserError."""
    if (Path(where) / "model").is_dir() and not (Path(where) / "model.safetensors").is_file():
        raise UserError(f"{where} holds its weights in shards. Make them whole: python -m training.export {where} OUT")
    try:
        # Never a pickle, which torch would find beside the safetensors, or in their place.
        return GoyaForTextToSpeech.from_pretrained(where, config=config, use_safetensors=True)
    except OSError as error:
        raise _not_loaded(where, error) from error


def load(where: str, device: str = "cpu") -> tuple[GoyaForTextToSpeech, GoyaProcessor]:
    """Model, to speak with, and processor of a run folder, a model's folder or a Hub id (`model_folder`).

    Raises UserError where they cannot be had.
    """
    where = model_folder(where)
    config, processor = load_description(where)
    return load_weights(where, config).to(device).eval(), processor


def _not_loaded(where: str, error: OSError) -> UserError:
    return UserError(
        f"No model could be loaded from {where} ({str(error).splitlines()[0]}); expected a folder of "
        "this computer, or a Hub id that can be reached."
    )
