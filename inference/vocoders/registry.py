"""Which vocoder makes the waves: by name, by folder or Hub id, or the one that fits the mels."""

import logging
import os

import torch

from data_pipeline import plugins
from data_pipeline.errors import UserError, shown
from data_pipeline.recordings.audio import AudioConfig
from inference.options import AUTO
from inference.vocoders.base import Vocoder
from inference.vocoders.griffin_lim import GriffinLim
from inference.vocoders.hifigan import HIFIGAN_CONVENTION, HifiGan
from inference.vocoders.transformers_vocoder import TransformersVocoder

# Each by the name of its file.
VOCODERS: dict[str, type[Vocoder]] = {one.name: one for one in (HifiGan, GriffinLim)}

logger = logging.getLogger(__name__)


def load_vocoder(name: str, audio_config: AudioConfig, device: torch.device | str = "cpu") -> Vocoder:
    """A callable: log mel float32 [T, C] -> wave float32 [N] in [-1, 1] on the same device, N = hop * T.

    Args:
        name: one of VOCODERS or of those that installed packages add (`Vocoder`s; docs/extending.md), a folder or Hub
            id of a transformers vocoder (`TransformersVocoder`), or AUTO: HiFi-GAN where it was trained with such mels,
            else Griffin-Lim, of which a warning tells.

    Raises UserError for an unknown name, a vocoder whose package is not installed or that cannot be loaded, or one
    trained for another mel convention than audio_config's.
    """
    if name == AUTO:
        name = fitting_vocoder(audio_config)
    make = plugins.find(plugins.VOCODERS, name, VOCODERS)
    if make is not None:
        return make(audio_config, torch.device(device))
    if os.path.isdir(name) or (name.count("/") == 1 and not name.startswith((".", "/"))):
        return TransformersVocoder(name, audio_config, torch.device(device))
    known = [AUTO, *sorted(plugins.names(plugins.VOCODERS, VOCODERS))]
    raise UserError(
        f"unknown vocoder {shown(name)!r}: expected one of {', '.join(known)}, or a folder or Hub id "
        "(owner/name) of a transformers vocoder"
    )


def fitting_vocoder(audio_config: AudioConfig) -> str:
    """HifiGan.name where its weights were trained with such mels, else GriffinLim.name."""
    differences = audio_config.differences(HIFIGAN_CONVENTION)
    if not differences:
        return HifiGan.name
    logger.warning(
        "Griffin-Lim makes the waves, which sounds metallic: HiFi-GAN does not fit these mels (%s).",
        "; ".join(differences),
    )
    return GriffinLim.name
