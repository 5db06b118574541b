"""What a vocoder is.

Shapes: T mel frames, C mel channels, N samples = hop * T.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import AudioConfig


class Vocoder(ABC):
    """What every vocoder promises: log mel float32 [T, C] -> wave float32 [N] in [-1, 1] on its device, N = hop * T.

    A subclass gives `wave_of`, and where it was trained the convention of its mels (`check_convention`).

    name: its key in the registry, or the last part of its folder's name or Hub id.
    context_frames: how many mel frames a sample depends on to each side; None where it is all of them.
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

    @abstractmethod
    def wave_of(self, log_mel_TC: Tensor) -> Tensor:
        """The wave [N] of a log mel [T >= 1, C] that is on the device."""


def check_convention(vocoder: str, expected: dict[str, object], found: AudioConfig) -> None:
    """Raises UserError naming each of the `expected` properties of the mel convention that `found` has otherwise."""
    if differences := found.differences(expected):
        raise UserError(
            f"the vocoder {vocoder!r} does not fit this model's mel spectrograms: {'; '.join(differences)}. "
            "Use --vocoder griffin_lim, which fits any, or train with the audio settings of the vocoder"
        )
