"""The configuration of a stranger's transformers vocoder, checked before a network is built from it.

Raises UserError only.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel

from data_pipeline.errors import UserError
from modeling.safe_folder import Number, check_memory, check_numbers, read_json, stored_weights

NUMBERS = {
    "model_in_dim": Number(1, 1024),
    "sampling_rate": Number(4_000, 384_000),
    "upsample_initial_channel": Number(1, 2**13),
    "initializer_range": Number(0, 10, whole=False),
    "leaky_relu_slope": Number(0, 10, whole=False),
}
LISTS = ("upsample_rates", "upsample_kernel_sizes", "resblock_kernel_sizes", "resblock_dilation_sizes")
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
    if not isinstance(found.get("audio", {}), dict) or not isinstance(found.get("normalize_before", True), bool):
        raise UserError(f"{where} has audio or normalize_before of another kind; expected fields, and true or false.")
    for key in LISTS:
        if key in found and not _are_widths(found[key]):
            raise UserError(
                f"{where} has {key}: {str(found[key])[:60]}; expected whole numbers, {MOST_STAGES} at most."
            )
    known = (*NUMBERS, *LISTS, "normalize_before", "audio")
    try:
        config = network.config_class(**{key: found[key] for key in known if key in found})
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


def _are_widths(value: Any, deeper: bool = True) -> bool:
    if not isinstance(value, list) or len(value) > MOST_STAGES:
        return False
    plain = (isinstance(one, int) and not isinstance(one, bool) and 0 < one <= MOST_WIDTH for one in value)
    return all(plain) or (deeper and all(_are_widths(one, False) for one in value))
