"""A model's configuration and processor from JSON that a stranger may have written: each field has a type and a range.

Raises UserError only.
"""

from dataclasses import fields
from pathlib import Path
from typing import Any

from data_pipeline.errors import UserError, shown
from data_pipeline.recordings.audio import AudioConfig
from data_pipeline.text.tokens import Vocabulary
from inference.safe_folder import Number, check_numbers, read_json
from inference.voices import check_voices
from modeling.configuration import GoyaConfig
from modeling.processor import GoyaFeatureExtractor, GoyaProcessor, GoyaTokenizer

SHARE = Number(0, 0.99, whole=False)  # of dropout and smoothing
# The ranges are far wider than any model of ours; what they keep out is a machine that is eaten up, or hangs.
CONFIG = {
    "vocab_size": Number(1, 2**20),
    "new_tokens": Number(0, 2**20),
    "n_mels": Number(1, 1024),
    "frames_per_step": Number(1, 64),
    "hidden_size": Number(1, 2**14),
    "head_dim": Number(2, 2**14),
    "encoder_layers": Number(1, 256),
    "decoder_layers": Number(1, 256),
    "voice_dim": Number(1, 2**12),
    "aligner_dim": Number(1, 2**13),
    "prenet_dropout": SHARE,
    "synthesis_dropout": SHARE,
    "dropout": SHARE,
    "mel_mean": Number(-100, 100, whole=False),
    "mel_std": Number(0.01, 100, whole=False),
    "max_token_steps": Number(1, 10_000),
    "stop_smoothing": SHARE,
}
AUDIO = {
    "sample_rate_hz": Number(4_000, 384_000),
    "n_fft": Number(16, 2**15),
    "hop": Number(1, 2**15),
    "n_mels": Number(1, 1024),
    "f_min_hz": Number(0, 192_000, whole=False),
    "f_max_hz": Number(1, 192_000, whole=False),
    "log_floor": Number(1e-12, 1, whole=False),
}
MOST_VOICES = 100_000


def checked_config(found: dict[str, Any], where: str) -> GoyaConfig:
    """Goya's own fields of a config.json; what else is in it has no effect."""
    if found.get("model_type") != GoyaConfig.model_type:
        raise UserError(f"{where} is a model of the kind {shown(found.get('model_type'))!r}; expected one of Goya's.")
    if "transformers_weights" in found:
        raise UserError(f"The config.json of {where} names other weights (transformers_weights); expected its own.")
    check_numbers(found, CONFIG, f"The config.json of {where}")
    audio = found.get("audio") or {}
    if audio:
        _audio_config(audio, f"The config.json of {where}")
    given = {name: found[name] for name in CONFIG if name in found}
    try:
        gains = {name: _gains(found, name, where) for name in ("detail_gains", "time_detail_gains")}
        config = GoyaConfig(**given, audio=audio, voices=_voices(found.get("voices"), where), **gains)
    except ValueError as error:  # two fields that do not go together
        raise UserError(f"The config.json of {where} cannot be used: {error}.") from error
    check_voices(config, where)
    return config


def _gains(found: dict[str, Any], name: str, where: str) -> list[float] | None:
    gains = found.get(name)
    if gains is not None:
        channels = found.get("n_mels", 80)
        if not isinstance(gains, list) or len(gains) != channels:
            raise UserError(f"The config.json of {where} has {name} that are no list of {channels} numbers.")
        fields_of_it = dict.fromkeys(range(channels), Number(0, 100, whole=False))
        check_numbers(dict(enumerate(gains)), fields_of_it, f"{name} of {where}")
    return gains


def _voices(found: Any, where: str) -> dict[str, list[float]]:
    is_table = found is None or (isinstance(found, dict) and len(found) <= MOST_VOICES)
    voices = (found or {}) if is_table else {"": None}
    for name, voice in voices.items():
        if not isinstance(voice, list):
            raise UserError(f"The config.json of {where} has no voices that can be read; expected lists of numbers.")
        place = f"The voice {name[:60]!r} of {where}"
        check_numbers(dict(enumerate(voice)), dict.fromkeys(range(len(voice)), Number(-1e4, 1e4, whole=False)), place)
    return voices


def _audio_config(found: Any, where: str) -> AudioConfig:
    if not isinstance(found, dict):
        raise UserError(f"{where} says of its audio {str(found)[:60]}; expected fields such as sample_rate_hz.")
    check_numbers(found, AUDIO, where)
    return AudioConfig(**{field.name: found[field.name] for field in fields(AudioConfig) if field.name in found})


def checked_processor(folder: Path, config: GoyaConfig) -> GoyaProcessor:
    """The processor that was saved with the model of `config`, whose numbers it has to share."""
    described = read_json(folder, "processor_config.json").get("feature_extractor")
    where = f"{folder / 'processor_config.json'}"
    audio = _audio_config(described, where)
    vocabulary = Vocabulary.from_document(read_json(folder, "vocabulary.json"))
    if audio.n_mels != config.n_mels or len(vocabulary) > config.vocab_size:
        raise UserError(
            f"{folder} has a processor of {audio.n_mels} mel channels and {len(vocabulary)} tokens, and a model of "
            f"{config.n_mels} and {config.vocab_size}; expected those of one model. Take all files from one place."
        )
    extractor = GoyaFeatureExtractor(**{field.name: getattr(audio, field.name) for field in fields(AudioConfig)})
    return GoyaProcessor(extractor, GoyaTokenizer(vocabulary=vocabulary))
