"""What the speech of a recording has whatever is said in it: a level and a spectrum.

Shapes: N = samples, T = mel frames, C = mel channels.
"""

import numpy as np
import torch

LEVEL_DB = -18.0  # re full scale
FRAME_S = 0.020
LOUD_SHARE = 0.05  # of the frames are as loud as speech gets; a click is shorter
PAUSE_DB = 20.0  # a frame that much quieter is no vowel


def normalize_loudness(wave_N: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """The wave scaled so that its speech is at LEVEL_DB; one that is zero for nearly all of it stays as it is.

    A voice is then as loud in every recording of it, and a clip as what the model was trained on, whatever microphone
    it comes from: of clips 20 and 40 dB below, cloned speech was hard or not to be understood (benchmarks/LOG.md).
    The level is the RMS of the louder frames, none of which counts for more than all but a few: clicks are no speech.
    """
    starts = np.arange(0, len(wave_N), round(FRAME_S * sample_rate_hz))
    sizes = np.diff(starts, append=len(wave_N))
    power_K = np.add.reduceat(np.square(wave_N, dtype=np.float64), starts) / sizes
    loud = np.quantile(power_K, 1 - LOUD_SHARE)
    if not loud > 0:
        return wave_N
    level = power_K[power_K >= loud * 10 ** (-PAUSE_DB / 10)].clip(max=loud).mean()
    return wave_N * np.float32(10 ** (LEVEL_DB / 20) / level**0.5)


def speech_spectrum(mel_TC: torch.Tensor) -> torch.Tensor:
    """The mean frame [C] of a clip's speech: of those that are no quieter than the mean of all."""
    level_T = mel_TC.mean(1)
    threshold = torch.minimum(level_T.mean(), level_T.max())  # by rounding a mean of equals can be above them all
    return mel_TC[level_T >= threshold].mean(0)


def others_spectra(mels: list[torch.Tensor]) -> torch.Tensor:
    """For each clip [T, C] of one voice the `speech_spectrum` of all the others, or its own where there is no other.

    Shapes: G clips, F frames of all of them. In one product, not clip by clip: the others' frames of 64 clips are 63
    times as many as there are.
    """
    frames_FC = torch.cat(mels)
    level_F = frames_FC.mean(1)
    clip_F = torch.repeat_interleave(torch.tensor([len(mel_TC) for mel_TC in mels]))
    others_GF = clip_F != torch.arange(len(mels))[:, None] if len(mels) > 1 else torch.ones(1, len(level_F), dtype=bool)
    mean_G = others_GF.float() @ level_F / others_GF.sum(1)
    loudest_G = level_F.where(others_GF, -torch.inf).amax(1)
    heard_GF = others_GF & (level_F >= torch.minimum(mean_G, loudest_G)[:, None])
    return heard_GF.float() @ frames_FC / heard_GF.sum(1, keepdim=True)
