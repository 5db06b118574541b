"""A HiFi-GAN of transformers, by folder or Hub id: a stranger's, so its configuration is checked before it is built.

Shapes: T mel frames, C mel channels, N samples = hop * T.
"""

import logging
import math
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from data_pipeline.errors import UserError, shown
from data_pipeline.recordings.audio import AudioConfig
from inference.safe_folder import (
    DESCRIPTION,
    Number,
    check_memory,
    check_numbers,
    fetched,
    read_json,
    stored_weights,
)
from inference.vocoders.base import Vocoder, check_convention
from inference.vocoders.hifigan import context_frames

# model_type -> class of transformers, imported when it is asked for.
TRANSFORMERS_VOCODERS = {
    "speecht5_hifigan": "SpeechT5HifiGan",
    "fastspeech2_conformer_hifigan": "FastSpeech2ConformerHifiGan",
    "hifigan": "FastSpeech2ConformerHifiGan",  # as transformers 4 called it
}
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

logger = logging.getLogger(__name__)


class TransformersVocoder(Vocoder):
    """SpeechT5HifiGan, and FastSpeech2ConformerHifiGan, which is the same network, by folder or Hub id.

    Its config.json says model_in_dim, by the product of upsample_rates the hop, and mostly sampling_rate: these are
    checked. It may also hold any of AudioConfig.convention under `audio`, which then is checked too; nothing else tells
    how its mels were made, so what it leaves open is told in a warning.
    With normalize_before the network itself takes the mean and scale stored with its weights out of the mel.
    """

    def __init__(self, name: str, audio_config: AudioConfig, device: torch.device):
        super().__init__(audio_config, device)
        self.name = Path(name).name
        self.generator = load_transformers_vocoder(name)
        config = self.generator.config
        stated, ours = stated_convention(config), audio_config.convention()
        check_convention(name, stated, audio_config)
        if unstated := [field for field in ours if field not in stated]:
            logger.warning(
                "The vocoder %s does not say with which %s, nor with which logarithm, its mels were made; this model "
                "has %s, natural. Where they differ, speech turns to noise.",
                name,
                ", ".join(unstated),
                ", ".join(f"{field} {ours[field]}" for field in unstated),
            )
        self.context_frames = context_frames(
            list(zip(config.upsample_rates, config.upsample_kernel_sizes, strict=True)),
            config.resblock_kernel_sizes,
            config.resblock_dilation_sizes,
        )
        self.generator.eval().requires_grad_(False).to(device)

    def wave_of(self, log_mel_TC: Tensor) -> Tensor:
        return self.generator(log_mel_TC)


def load_transformers_vocoder(name: str) -> PreTrainedModel:
    """The network of a folder or Hub id, from safetensors alone. Raises UserError where it cannot be had."""
    folder = fetched(name, (*DESCRIPTION, "*.safetensors"), "vocoder")
    model_type = read_json(folder, "config.json").get("model_type")
    try:
        if not isinstance(model_type, str) or model_type not in TRANSFORMERS_VOCODERS:
            raise UserError(
                f"the vocoder {name!r} is of model_type {shown(repr(model_type))}: expected one of "
                f"{', '.join(TRANSFORMERS_VOCODERS)}"
            )
        network = getattr(transformers, TRANSFORMERS_VOCODERS[model_type])
        config = checked_vocoder_config(folder, network, name)
        how = {"use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True}
        generator, loaded = network.from_pretrained(folder, config=config, **how)
    except OSError as error:  # not on the Hub, no network, or files missing
        raise UserError(
            f"no vocoder could be loaded from {name} ({str(error).splitlines()[0]}): expected the config.json and "
            "model.safetensors of a transformers vocoder, in a folder or on the Hub; a pickle of weights is never read"
        ) from error
    # transformers leaves these at random.
    absent = sorted({*loaded["missing_keys"], *(key for key, *_ in loaded["mismatched_keys"])})
    if absent:
        raise UserError(
            f"the weights of the vocoder {name!r} do not fit its config.json ({', '.join(absent[:3])}; {len(absent)} "
            f"in all are missing or of another shape): expected every weight of {network.__name__}. Take both files "
            "from one place"
        )
    return generator


def stated_convention(config: PreTrainedConfig) -> dict[str, object]:
    """What of AudioConfig.convention a transformers vocoder's config tells."""
    stated = {"hop": math.prod(config.upsample_rates), "n_mels": config.model_in_dim, **getattr(config, "audio", {})}
    if hasattr(config, "sampling_rate"):
        stated["sample_rate_hz"] = config.sampling_rate
    return stated


def checked_vocoder_config(folder: Path, network: type[PreTrainedModel], name: str) -> PreTrainedConfig:
    """The fields that such a network has, each within a range, and weights of about as many numbers as they ask for."""
    found = read_json(folder, "config.json")
    where = f"The config.json of the vocoder {name}"
    for forbidden in (*FORBIDDEN, "adapter_config.json"):
        if forbidden in found or (folder / forbidden).exists():
            raise UserError(f"{where} comes with {forbidden}; expected a vocoder whose weights are its own.")
    check_numbers(found, {key: number for key, number in NUMBERS.items() if key in found}, where)
    audio = found.get("audio", {})
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
