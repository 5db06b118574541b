"""The HiFi-GAN generator, universal V1, for inference only.

Kong, Kim, Bae: "HiFi-GAN: Generative Adversarial Networks for Efficient and High Fidelity Speech Synthesis",
NeurIPS 2020, section 2.2 and the V1 column of appendix A.1. Weight normalisation is a help in training alone,
so it is folded into plain convolution weights when a published state dict is loaded.

Shapes: B = utterances, C = channels, T = mel frames, N = samples = 256 T.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

MEL_CHANNELS = 80
FIRST_CHANNELS = 512
UPSAMPLING = ((8, 16), (8, 16), (2, 4), (2, 4))  # (rate, kernel) of each stage; 8 * 8 * 2 * 2 is the hop
RESIDUAL_KERNELS = (3, 7, 11)
DILATIONS = (1, 3, 5)
SLOPE = 0.1
LAST_SLOPE = 0.01  # the published code leaves the last one at torch's default, and the weights expect it


def context_frames(
    upsampling: Sequence[tuple[int, int]], kernels: Sequence[int], dilations: Sequence[Sequence[int]]
) -> int:
    """How many mel frames a sample depends on to each side, at most, in a generator of this shape.

    Args:
        upsampling: (rate, kernel) of each stage.
        kernels, dilations: of each residual block, and of its dilated convolutions.
    """
    reach, scale = 3.0, 1  # conv_pre; samples a frame
    fields = [
        sum((kernel - 1) // 2 * (dilation + 1) for dilation in each)
        for kernel, each in zip(kernels, dilations, strict=True)
    ]
    for rate, kernel in upsampling:
        reach += kernel / rate / scale
        scale *= rate
        reach += max(fields) / scale
    return math.ceil(reach + 3 / scale)  # conv_post


def same_length_conv(channels: int, kernel: int, dilation: int) -> nn.Conv1d:
    return nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=dilation * (kernel - 1) // 2)


class ResidualBlock(nn.Module):
    """One field of the multi-receptive-field fusion: three dilated convolutions, each with a plain one."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.convs1 = nn.ModuleList(same_length_conv(channels, kernel, dilation) for dilation in DILATIONS)
        self.convs2 = nn.ModuleList(same_length_conv(channels, kernel, 1) for _ in DILATIONS)

    def forward(self, hidden_BCT: Tensor) -> Tensor:
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            inner_BCT = dilated(functional.leaky_relu(hidden_BCT, SLOPE))
            hidden_BCT = hidden_BCT + plain(functional.leaky_relu(inner_BCT, SLOPE))
        return hidden_BCT


class HifiGanGenerator(nn.Module):
    """log mel [B, 80, T] -> wave [B, 256 T] in [-1, 1]. Modules are named as in the published state dicts."""

    def __init__(self):
        super().__init__()
        self.conv_pre = nn.Conv1d(MEL_CHANNELS, FIRST_CHANNELS, 7, padding=3)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()  # flat: the blocks of stage i are [3 i, 3 i + 3)
        channels = FIRST_CHANNELS
        for rate, kernel in UPSAMPLING:
            self.ups.append(nn.ConvTranspose1d(channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2))
            channels //= 2
            self.resblocks.extend(ResidualBlock(channels, kernel) for kernel in RESIDUAL_KERNELS)
        self.conv_post = nn.Conv1d(channels, 1, 7, padding=3)

    def forward(self, mel_BCT: Tensor) -> Tensor:
        hidden_BCT = self.conv_pre(mel_BCT)
        fields = len(RESIDUAL_KERNELS)
        for stage, upsample in enumerate(self.ups):
            hidden_BCT = upsample(functional.leaky_relu(hidden_BCT, SLOPE))
            blocks = self.resblocks[stage * fields : (stage + 1) * fields]
            hidden_BCT = sum(block(hidden_BCT) for block in blocks) / fields
        wave_B1N = torch.tanh(self.conv_post(functional.leaky_relu(hidden_BCT, LAST_SLOPE)))
        return wave_B1N.squeeze(1)


def fold_weight_norm(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """State dict with weight = g * v / |v| (Salimans and Kingma 2016, eq. 2) in place of each pair (g, v).

    The norm is over all but the first dimension, for transposed convolutions too, as in the published code.
    """
    folded = {}
    for name, value in published.items():
        if name.endswith(".weight_v"):
            gain = published[name.removesuffix("v") + "g"]
            norm = value.flatten(1).norm(dim=1).view_as(gain)
            folded[name.removesuffix("_v")] = gain * value / norm
        elif not name.endswith(".weight_g"):
            folded[name] = value
    return folded
