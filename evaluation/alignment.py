"""Two recordings of one sentence on one time axis: what distances between voices are measured along.

Shapes: N = samples, T = mel frames, C = mel channels, D = cepstral coefficients, K = steps of a path.
"""

from collections.abc import Sequence

import librosa
import numpy as np
import soxr
import torch

from data_pipeline.recordings.audio import AudioConfig, log_mel

# One analysis for all, whatever mels a model makes: figures of different models then compare.
AUDIO = AudioConfig()
ORDER = 13  # cepstral coefficients, as MCD is commonly given


def resampled(waves: Sequence[Sequence[float]], sample_rate_hz: int, wanted_hz: int) -> list[np.ndarray]:
    """float32 waves [N] at `wanted_hz`. Raises ValueError for one that is empty or silent, with its place."""
    found = []
    for place, wave in enumerate(waves):
        wave_N = np.asarray(wave, dtype=np.float32)
        if not wave_N.any():
            raise ValueError(f"the wave at place {place} is empty or silent; expected speech")
        found.append(soxr.resample(wave_N, sample_rate_hz, wanted_hz) if sample_rate_hz != wanted_hz else wave_N)
    return found


def mel_cepstra(wave_N: np.ndarray) -> np.ndarray:
    """Cepstral coefficients 1 to `ORDER` [T, D] of a wave at AUDIO's rate: the cosine series of its log-mel.

    ln |S(k)| = c_0 / 2 + sum over d of c_d cos(pi d (k + 1/2) / C), the sign and scale of SPTK's mel-cepstra. c_0, the
    level, is left out.
    """
    mel_TC = log_mel(torch.from_numpy(wave_N), AUDIO).numpy()
    channels = mel_TC.shape[1]
    angles_CD = np.outer(np.arange(channels) + 0.5, np.arange(1, ORDER + 1)) * np.pi / channels
    return mel_TC @ np.cos(angles_CD) * (2 / channels)


def path_between(one_TD: np.ndarray, other_TD: np.ndarray) -> np.ndarray:
    """The pairs of frames [K, 2] from both beginnings to both ends whose Euclidean distances have the least sum.

    Dynamic time warping with steps (1, 1), (1, 0) and (0, 1), all of weight one (Sakoe and Chiba 1978).
    """
    return librosa.sequence.dtw(one_TD.T, other_TD.T, metric="euclidean")[1][::-1]
