"""A post-filter: gives the model's mels the detail along frequency that speech has, and they lack.

A point estimate is the mean of all ways to say a sentence, whose formants and harmonics blur. What the recordings of
the training have more of it is measured once, channel by channel, and put back: the idea of global variance (Toda and
Tokuda 2007) and of the modulation spectrum (Takamichi et al. 2016), here along frequency within a frame, so that it
needs neither the sentence's end nor its past.

Shapes: T mel frames, C mel channels.
"""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

WIDTH = 9  # channels; of 3, 5, 7, 9 and 15 the best by DistillMOS (benchmarks/LOG.md)
LOUD_NATS = 3.0  # below a loud frame's mean: what lies lower is pause and noise
LEAST, MOST = 1.0, 3.0


def detail(mel: Tensor) -> Tensor:
    """What each channel of a log-mel [..., T, C] has over the mean of WIDTH neighbors, edges repeated."""
    frames_RC = mel.reshape(-1, mel.shape[-1])
    padded_RC = functional.pad(frames_RC[None], (WIDTH // 2, WIDTH // 2), mode="replicate")
    return mel - functional.avg_pool1d(padded_RC, WIDTH, 1)[0].view_as(mel)


def with_detail(mel: Tensor, gains_C: Tensor) -> Tensor:
    """The log-mel [..., T, C] with each channel's detail times its gain."""
    return mel + (gains_C - 1) * detail(mel)


def detail_gains(recorded: Iterable[Tensor], spoken: Iterable[Tensor]) -> list[float] | None:
    """Each channel's root mean square detail in log-mels [T, C] of recordings over that in the model's, LEAST to MOST.

    None where the model's have none, as those of a network at its start.
    """
    recorded_C, spoken_C = (_root_mean_square(mels) for mels in (recorded, spoken))
    if not (spoken_C > 0).all():
        return None
    return (recorded_C / spoken_C).clamp(LEAST, MOST).tolist()


def _root_mean_square(mels_TC: Iterable[Tensor]) -> Tensor:
    loud = [detail(mel_TC)[_is_loud(mel_TC)] for mel_TC in mels_TC]
    return torch.cat(loud).square().mean(0).sqrt()


def _is_loud(mel_TC: Tensor) -> Tensor:
    level_T = mel_TC.mean(1)
    return level_T > level_T.quantile(0.95) - LOUD_NATS
