"""Griffin-Lim, which needs no training and fits any mel convention.

Shapes: T mel frames, C mel channels, F frequency bins (n_fft / 2 + 1), N samples = hop * T.
"""

import torch
import torchaudio.functional
from torch import Tensor
from torch.nn import functional

from data_pipeline.recordings.audio import AudioConfig
from inference.vocoders.base import Vocoder


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
        self.filters_FC = audio_config.mel_filters().to(device)

    def wave_of(self, log_mel_TC: Tensor) -> Tensor:
        hop, n_fft = self.audio_config.hop, self.audio_config.n_fft
        magnitude_FT = self.magnitude_of(log_mel_TC.exp()).T
        # The analysis is not centered (AudioConfig.centered): its frame t is centered on sample hop * t + hop / 2;
        # torchaudio's frames are centered on hop * t. One more frame in front and a cut of hop / 2 put them in
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
