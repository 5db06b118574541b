"""A post-filter: gives the model's mels the detail along frequency and time that speech has, and they lack.

A point estimate is the mean of all ways to say a sentence, whose formants, harmonics and onsets blur. What the
recordings of the training have more of it is measured once, channel by channel, and put back: the idea of global
variance (Toda and Tokuda 2007) and of the modulation spectrum (Takamichi et al. 2016), here among a few neighbors, so
that it can be streamed.

Shapes: T mel frames, C mel channels.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

CHANNELS, FRAMES = 9, 5  # neighbors that detail stands out from; the best by DistillMOS (benchmarks/LOG.md)
CONTEXT_FRAMES = FRAMES // 2  # how many frames to each side a filtered frame depends on
TIME_SHARE = 0.5  # of what lacks along time; more is rough
LOUD_NATS = 3.0  # below a loud frame's mean: what lies lower is pause and noise
LEAST, MOST = 1.0, 3.0


def detail(mel: Tensor) -> Tensor:
    """What each channel of a log-mel [..., T, C] has over the mean of CHANNELS neighbors, edges repeated."""
    frames_RC = mel.reshape(-1, mel.shape[-1])
    padded_RC = functional.pad(frames_RC[None], (CHANNELS // 2, CHANNELS // 2), mode="replicate")
    return mel - functional.avg_pool1d(padded_RC, CHANNELS, 1)[0].view_as(mel)


def time_detail(mel_BTC: Tensor, real_BT1: Tensor) -> Tensor:
    """What each frame of log-mels has over the mean of those of FRAMES neighbors that are real."""
    real_BT1 = real_BT1.to(mel_BTC.dtype)
    sums_BTC, numbers_BT1 = (_pooled_in_time(one) for one in (mel_BTC * real_BT1, real_BT1))
    return (mel_BTC - sums_BTC / numbers_BT1.clamp(min=1 / FRAMES)) * real_BT1


def _pooled_in_time(values_BTX: Tensor) -> Tensor:
    return functional.avg_pool1d(values_BTX.mT, FRAMES, 1, FRAMES // 2).mT


def with_detail(mel_BTC: Tensor, real_BT1: Tensor, gains_C: Tensor, time_gains_C: Tensor) -> Tensor:
    """Log-mels with each channel's detail along frequency, then time, times its gain; frames that are real."""
    mel_BTC = mel_BTC + (gains_C - 1) * detail(mel_BTC)
    return mel_BTC + (time_gains_C - 1) * time_detail(mel_BTC, real_BT1)


def measured_gains(recorded: Sequence[Tensor], spoken: Sequence[Tensor]) -> tuple[list[float], list[float]] | None:
    """Each channel's gains along frequency and time, of log-mels [T, C] of recordings and the model's.

    A gain is the root mean square detail of the recordings over the model's, LEAST to MOST; along time TIME_SHARE of
    the way there, after the filter along frequency. None where the model's have no detail, as those of a network at its
    start.
    """
    gains_C = _ratios(recorded, spoken, detail)
    if gains_C is None:
        return None
    sharper = [mel_TC + (gains_C - 1) * detail(mel_TC) for mel_TC in spoken]
    ratios_C = _ratios(recorded, sharper, _time_detail_of_one)
    if ratios_C is None:
        return None
    return gains_C.tolist(), (1 + TIME_SHARE * (ratios_C - 1)).tolist()


def _time_detail_of_one(mel_TC: Tensor) -> Tensor:
    return time_detail(mel_TC[None], mel_TC.new_ones(1, len(mel_TC), 1))[0]


def _ratios(recorded: Sequence[Tensor], spoken: Sequence[Tensor], of: Callable[[Tensor], Tensor]) -> Tensor | None:
    recorded_C, spoken_C = (_root_mean_square(mels, of) for mels in (recorded, spoken))
    if not (spoken_C > 0).all():
        return None
    return (recorded_C / spoken_C).clamp(LEAST, MOST)


def _root_mean_square(mels_TC: Sequence[Tensor], of: Callable[[Tensor], Tensor]) -> Tensor:
    loud = [of(mel_TC)[_is_loud(mel_TC)] for mel_TC in mels_TC]
    return torch.cat(loud).square().mean(0).sqrt()


def _is_loud(mel_TC: Tensor) -> Tensor:
    level_T = mel_TC.mean(1)
    return level_T > level_T.quantile(0.95) - LOUD_NATS
