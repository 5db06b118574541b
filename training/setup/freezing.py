"""Which parameters train: all, all but those that are named, or adapters beside the matrices (training.setup.lora)."""

import re
from fnmatch import fnmatchcase

from data_pipeline.errors import UserError, shown
from modeling.model import GoyaForTextToSpeech
from training.config.fields import nearest

EMBEDDING = "text_encoder.embedding.weight"


def freeze(model: GoyaForTextToSpeech, names: str) -> None:
    """Take the gradient from parameters by their names, a module's name for all in it, or patterns such as *.norm.*.

    Of an embedding that has grown (GoyaConfig.new_tokens) only the old rows: the new ones would stay noise.
    Raises UserError for a name that nothing has.
    """
    parameters = dict(model.named_parameters())
    for wanted in re.split(r"[,\s]+", names.strip(", ")):
        found = [name for name in parameters if name.startswith(f"{wanted}.") or fnmatchcase(name, wanted)]
        if not found:
            modules = [name for name, _ in model.named_modules() if 0 < len(name.split(".")) <= 2 and name]
            raise UserError(
                f"--freeze names {shown(wanted)!r}, and no parameter of the model is called so."
                f"{nearest(wanted, modules)} Expected names or patterns of: {', '.join(modules)}, or of what is in "
                "them."
            )
        for name in found:
            parameters[name].requires_grad_(False)
    embedding = model.get_parameter(EMBEDDING)
    if model.config.new_tokens and not embedding.requires_grad:
        embedding.requires_grad_(True)
        model.text_encoder.frozen_tokens = model.config.vocab_size - model.config.new_tokens


def what_trains(model: GoyaForTextToSpeech) -> str:
    """How many parameters the model has and how many of them train, in words. Raises UserError where none does."""
    every = sum(parameter.numel() for parameter in model.parameters())
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    trained -= model.text_encoder.frozen_tokens * model.config.hidden_size
    if not trained:
        raise UserError("--freeze names every parameter of the model; expected some to be left to train.")
    tokens = f", {model.config.new_tokens} new tokens" if model.config.new_tokens else ""
    part = f", {trained / 1e6:.2f} M of them train" if trained < every else ""
    return f"{every / 1e6:.1f} M parameters{part}{tokens}"
