"""The configuration of a stranger's transformers vocoder, checked before a network is built from it.

Raises UserError only.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from data_pipeline.audio import AudioConfig
from data_pipeline.errors import UserError, shown
from modeling.safe_folder import Number, check_memory, check_numbers, read_json, stored_weights

NUMBERS = {
    "model_in_dim": Number(1, 1024),
    "sampling_rate": Number(4_000, 384_000),
    "upsample_initial_channel": Number(1, 2**13),
    "initializer_range": Number(0, 10, whole=False),
    "leaky_relu_slope": Number(0, 10, whole=False),
}
# One for each stage, one for each block, and of a block's dilations several.
PAIRS = (("upsample_rates", "upsample_kernel_sizes"), ("resblock_kernel_sizes", "resblock_dilation_sizes"))
LISTS, NESTED = (*PAIRS[0], *PAIRS[1]), "resblock_dilation_sizes"
MOST_STAGES, MOST_WIDTH = 16, 1024
FORBIDDEN = ("transformers_weights", "quantization_config")  # which make transformers read other weights, or other code


def checked_vocoder_config(folder: Path, network: type[PreTrainedModel], name: str) -> PreTrainedConfig:
    """The fields that such a network has, each within a range, and weights of about as many numbers as they ask for."""
    found = read_json(folder, "config.json")
    where = f"The config.json of the vocoder {name}"
    for forbidden in (*FORBIDDEN, "adapter_config.json"):
        if forbidden in found or (folder / forbidden).exists():
            raise UserError(f"{where} comes with {forbidden}; expected a vocoder whose weights are its own.")
    check_numbers(found, {key: number for key, number in NUMBERS.items() if key in found}, where)
    audio, known_audio = found.get("audio", {}), {field.name for field in fields(AudioConfig)}
    if isinstance(audio, dict) and not audio.keys() <= known_audio:
        odd = sorted(audio.keys() - known_audio)[0]
        raise UserError(f"{where} has {shown(odd, 60)!r} in its audio; expected of {', '.join(sorted(known_audio))}.")
    if not isinstance(audio, dict) or not isinstance(found.get("normalize_before", True), bool):
        raise UserError(f"{where} has audio or normalize_before of another kind; expected fields, and true or false.")
    for key in LISTS:
        are_widths = _are_lists_of_widths if key == NESTED else _are_widths
        if key in found and not are_widths(found[key]):
            what = "lists of whole numbers" if key == NESTED else "whole numbers"
            raise UserError(f"{where} has {key}: {str(found[key])[:60]}; expected {what}, 1 to {MOST_STAGES}.")
    known = (*NUMBERS, *LISTS, "normalize_before", "audio")
    try:
        config = network.config_class(**{key: found[key] for key in known if key in found})
        for one, other in PAIRS:
            if len(getattr(config, one)) != len(getattr(config, other)):
                raise ValueError(f"{one} and {other} are of different lengths")
        with torch.device("meta"):
            parameters = sum(one.numel() for one in network(config).parameters())
    except (
        ArithmeticError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise UserError(f"{where} cannot be used ({str(error)[:200]}); expected that of {network.__name__}.") from error
    check_memory(parameters, f"The vocoder {name}")
    stored = sum(torch.Size(one.shape).numel() for one in stored_weights(folder).values())
    if parameters > 2 * stored:
        raise UserError(
            f"{where} describes {parameters:,} numbers, and its weights hold {stored:,}: they do not fit its "
            "config.json. Take both files from one place."
        )
    return config


def _are_widths(value: Any) -> bool:
    return _is_list(value) and all(type(one) is int and 0 < one <= MOST_WIDTH for one in value)


def _are_lists_of_widths(value: Any) -> bool:
    return _is_list(value) and all(map(_are_widths, value))


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= MOST_STAGES
