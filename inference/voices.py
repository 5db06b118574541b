"""The voices that a model can speak in: those stored with it, and those of clips.

Shapes: V a voice: GoyaConfig.voice_size.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from data_pipeline.errors import UserError, shown
from data_pipeline.languages import LANGUAGES
from inference.generation import encode_voice
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor


def voice_for(model: GoyaForTextToSpeech, speaker: str | None, language: str | None) -> Tensor:
    """The stored voice [V] of a speaker, or of anyone who speaks the language, or any, in this order.

    Zeros, the middle of the prior, where the checkpoint holds no voice at all. Raises UserError for a speaker
    who is named and unknown.
    """
    voices = model.config.voices
    exact = "-".join(part for part in (speaker, language) if part) or "default"
    for name in (exact, speaker):
        if name in voices:
            return torch.tensor(voices[name], device=model.device)
    if speaker is not None:
        found = [name for name in voices if name.startswith(f"{speaker}-")]
        if not found:
            known = shown(", ".join(sorted(voices)), 1000) or "none"
            raise UserError(
                f"This checkpoint knows no voice {shown(speaker)!r}; it knows: {known}. For any other there is "
                "--reference, with a clip of it."
            )
        return torch.tensor(voices[found[0]], device=model.device)
    found = [name for name in voices if language and name.endswith(f"-{language}")] or list(voices)
    return torch.tensor(voices[found[0]] if found else [0.0] * model.config.voice_size, device=model.device)


def check_voices(config: GoyaConfig, where: str) -> None:
    """Raises UserError for a checkpoint from before a voice had a spectrum, whose weights do not fit either."""
    sizes = {len(voice) for voice in config.voices.values()} - {config.voice_size}
    if sizes:
        raise UserError(
            f"{where} was trained by an earlier version of Goya: its voices hold {sizes.pop()} numbers, expected "
            f"{config.voice_size}. Train it anew, or use it with the version that made it."
        )


def known_voices(names: Iterable[str]) -> dict[str, list[str]]:
    """Speaker -> languages, of the names of stored voices (speaker-language, speaker, or language)."""
    found: dict[str, list[str]] = {}
    for name in names:
        speaker, _, language = name.rpartition("-")
        if language not in LANGUAGES:
            speaker, language = name, ""
        found.setdefault(speaker, []).extend([language] if language else [])
    return found


def voice_of(
    model: GoyaForTextToSpeech, processor: GoyaProcessor, clips: list[str], speaker: str | None, language: str | None
) -> Tensor:
    """The voice [V] of clips (paths), which count by their length; without any, that of `voice_for`.

    Raises UserError for a clip that cannot be used.
    """
    if not clips:
        return voice_for(model, speaker, language)
    return encode_voice(model, *(processor.feature_extractor(clip)["reference_mel"][0] for clip in clips))
