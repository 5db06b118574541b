"""Building blocks shared by the encoder and the decoder.

Shapes: B utterances, L positions (text tokens or decoder steps), D width, H heads, K head width.
"""

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer


class LayerNorm(nn.LayerNorm):
    """Layer normalization without a bias (Ba et al. 2016).

    In place of RMSNorm: on a CPU torch has fused kernels only for this one, five times as fast forward and backward,
    and three times at one decoder step (benchmarks/LOG.md).
    """

    def __init__(self, width: int):
        super().__init__(width, bias=False)


def rope_table(length: int, head_dim: int, device, offset: int = 0) -> tuple[Tensor, Tensor]:
    """Cosines and sines [L, K] of rotary position embeddings (Su et al. 2021) from position `offset` on.

    The sines of the first half are negative, as `rotate` wants them.
    """
    end = offset + length
    cos, sin = _rope_table(1024 * -(-end // 1024), head_dim, device)
    return cos[offset:end], sin[offset:end]


@functools.lru_cache(maxsize=8)
def _rope_table(length: int, head_dim: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Made once: synthesis asks at every step."""
    with torch.inference_mode(False):  # a table that was made while speaking must serve training too
        rates = 10_000.0 ** (-torch.arange(0, head_dim, 2, device=device, dtype=torch.float32) / head_dim)
        angles = torch.arange(length, device=device, dtype=torch.float32)[:, None] * rates
        cos, sin = angles.cos(), angles.sin()
        return torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)


def rotate(x_BHLK: Tensor, rope: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair of channels, one of each half, by its position's angle."""
    cos, sin = (table.to(x_BHLK.dtype) for table in rope)
    return torch.addcmul(x_BHLK * cos, x_BHLK.roll(x_BHLK.shape[-1] // 2, dims=-1), sin)


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Softmax attention over [B, H, L, K]; `mask` is true where a key may be seen.

    Training on a CPU spells the product out: the fused kernel's backward there took 2.8 times as long at
    175 positions (benchmarks/LOG.md). Everywhere else torch's fused kernels serve.
    """
    if query.device.type != "cpu" or not query.requires_grad:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    batch, heads, length, width = query.shape
    if causal:
        mask = torch.ones(length, key.shape[-2], dtype=torch.bool).tril()
    # Scale and mask go into the product itself: no pass over the scores of their own, forward or backward.
    hidden = (
        query.new_zeros(1) if mask is None else torch.zeros_like(mask, dtype=query.dtype).masked_fill(~mask, -torch.inf)
    )
    hidden = hidden.expand(batch, heads, length, key.shape[-2]).flatten(0, 1)
    query, key, value = (each.flatten(0, 1) for each in (query, key, value))
    score = torch.baddbmm(hidden, query, key.transpose(-1, -2), alpha=width**-0.5)
    return (score.softmax(-1) @ value).unflatten(0, (batch, heads))


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions."""

    def __init__(self, width: int, head_dim: int):
        super().__init__()
        self.head_dim = head_dim
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x_BLD: Tensor, rope, mask=None, causal: bool = False) -> Tensor:
        batch, length, width = x_BLD.shape
        qkv = self.qkv(x_BLD).view(batch, length, 3, width // self.head_dim, self.head_dim).permute(2, 0, 3, 1, 4)
        (query, key), value = rotate(qkv[:2], rope), qkv[2]
        mixed = attend(query, key, value, mask, causal)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class SwiGLU(nn.Module):
    """Gated feed-forward layer (Shazeer 2020, equation 6)."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.gate_and_value = nn.Linear(width, 2 * inner, bias=False)
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.gate_and_value(x).chunk(2, dim=-1)
        return self.out(F.silu(gate) * value)


class TransformerLayer(GradientCheckpointingLayer):
    """Pre-norm attention and feed-forward, each added to the residual stream."""

    def __init__(self, width: int, head_dim: int, inner: int, dropout: float):
        super().__init__()
        self.attention_norm = LayerNorm(width)
        self.attention = Attention(width, head_dim)
        self.feed_forward_norm = LayerNorm(width)
        self.feed_forward = SwiGLU(width, inner)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BLD: Tensor, rope, mask=None, causal: bool = False) -> Tensor:
        attended = self.attention(self.attention_norm(x_BLD), rope, mask, causal)
        x_BLD = x_BLD + self.dropout(attended)
        return x_BLD + self.dropout(self.feed_forward(self.feed_forward_norm(x_BLD)))


class Conv(nn.Conv1d):
    """A length-preserving convolution over [B, L, D] (channels last, as everywhere in this model)."""

    def __init__(self, inputs: int, outputs: int, width: int):
        assert width % 2, "an even kernel cannot preserve the length"
        super().__init__(inputs, outputs, width, padding=width // 2)

    def forward(self, x_BLD: Tensor) -> Tensor:
        return super().forward(x_BLD.transpose(1, 2)).transpose(1, 2)


def length_mask(lengths_B: Tensor, longest: int) -> Tensor:
    """Boolean [B, longest], true where a position holds real data."""
    return torch.arange(longest, device=lengths_B.device) < lengths_B[:, None]
