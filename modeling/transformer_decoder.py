"""A causal transformer that writes r mel frames a step and says when the current token ends.

Shapes: B utterances, N steps, X steps of any utterances, r frames a step, T frames, S text tokens, C mel channels, D
width, H heads, K head width, V numbers of a voice, L layers of the pre-net.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modeling.configuration import GoyaConfig
from modeling.decoder import Decoder, Steps
from modeling.layers import Conv, LayerNorm, TransformerLayer, rope_table

MOST_STEPS_IN_TOKEN = 31  # older tokens (pauses) share one embedding
FIRST_ROOM = 256  # steps
NOISE_STEPS = 64  # drawn at once


class PreNet(nn.Module):
    """A bottleneck with dropout on the previous frame (Wang et al. 2017; Shen et al. 2018, section 2.2)."""

    def __init__(self, config: GoyaConfig):
        super().__init__()
        width = config.hidden_size
        self.layers = nn.ModuleList([nn.Linear(config.n_mels, width), nn.Linear(width, width)])
        self.probability = config.prenet_dropout

    def forward(self, frame_BNC: Tensor) -> Tensor:
        x = frame_BNC
        for layer in self.layers:
            x = F.dropout(F.relu(layer(x)), self.probability, training=True)  # in validation too
        return x


class PostNet(nn.Module):
    """Three convolutions that see both sides of a frame and add what the causal decoder could not know."""

    def __init__(self, config: GoyaConfig):
        super().__init__()
        width = config.hidden_size // 2
        self.first = Conv(config.n_mels, width, 5)
        self.middle = Conv(width, width, 5)
        self.last = Conv(width, config.n_mels, 5)

    @property
    def context_frames(self) -> int:
        """How far it sees to each side."""
        return sum(conv.padding[0] for conv in (self.first, self.middle, self.last))

    def forward(self, mel_BTC: Tensor, real_BT1: Tensor) -> Tensor:
        """`real_BT1` is true where a frame is real: nothing may leak in from an utterance's padding."""
        x = torch.tanh(self.first(mel_BTC * real_BT1)) * real_BT1
        x = torch.tanh(self.middle(x)) * real_BT1
        return mel_BTC + self.last(x).float()


class TransformerDecoder(Decoder):
    """Steps of (previous frame, current token, its age, voice) to (r frames, token-end logit)."""

    def __init__(self, config: GoyaConfig):
        super().__init__()
        width = config.hidden_size
        self.config = config  # whose dropout can be changed later
        self.frames_per_step, self.n_mels, self.head_dim = config.frames_per_step, config.n_mels, config.head_dim
        self.prenet = PreNet(config)
        self.age = nn.Embedding(MOST_STEPS_IN_TOKEN + 1, width)
        self.voice = nn.Linear(config.voice_size, width)
        self.input = nn.Linear(2 * width, width, bias=False)
        self.layers = nn.ModuleList(
            TransformerLayer(width, config.head_dim, config.ff_size, config.dropout)
            for _ in range(config.decoder_layers)
        )
        self.norm = LayerNorm(width)
        self.frames = nn.Linear(width, config.frames_per_step * config.n_mels)
        self.end = nn.Linear(width, 1)
        self.postnet = PostNet(config)
        self.frames.start_scale, self.postnet.last.start_scale = 0.1, 0.0  # as modeling.model initializes layers

    def forward(self, previous_BNC: Tensor, token_BND: Tensor, steps_in_token_BN: Tensor, voice_BV: Tensor):
        batch, steps, _ = previous_BNC.shape
        x = self.input(torch.cat((self.prenet(previous_BNC).to(token_BND.dtype), token_BND), dim=-1))
        x = x + self.age(steps_in_token_BN.clamp(max=MOST_STEPS_IN_TOKEN)) + self.voice(voice_BV)[:, None]
        rope = rope_table(steps, self.head_dim, x.device)
        for layer in self.layers:
            x = layer(x, rope, causal=True)
        x = self.norm(x)
        frames = self.frames(x).view(batch, steps * self.frames_per_step, self.n_mels)
        return frames.float(), self.end(x).squeeze(-1).float()

    def start(self, context_BSD: Tensor, voice_BV: Tensor, seed: int, numbers: Sequence[int]) -> "TransformerSteps":
        dropout = min(self.config.synthesis_dropout, self.config.prenet_dropout)
        return TransformerSteps(self, context_BSD, voice_BV, prenet_noise(self.prenet, dropout, seed, numbers))

    def finish(self, mel_BTC: Tensor, real_BT1: Tensor) -> Tensor:
        return self.postnet(mel_BTC, real_BT1)

    @property
    def context_frames(self) -> int:
        return self.postnet.context_frames


def prenet_noise(prenet: PreNet, dropout: float, seed: int, numbers: Sequence[int]) -> Iterator[Tensor]:
    """Yield the dropout factors [B, 2, D] of each step: 0, or what keeps the mean.

    Every utterance has a stream of its own, of (seed, its number), so that it sounds the same in any batch, on any
    device. Drawn for many steps at once: a call for each utterance and step would take as long as the pre-net.
    """
    weight, keep = prenet.layers[0].weight, 1 - dropout
    streams = [np.random.default_rng([seed, number]) for number in numbers]
    while True:
        shape = (NOISE_STEPS, len(prenet.layers), weight.shape[0])
        drawn = np.stack([stream.random(shape, dtype=np.float32) < keep for stream in streams], axis=1)
        yield from torch.from_numpy(drawn).to(weight.device, weight.dtype) / keep


class TransformerSteps(Steps):
    """A lean spelling of `TransformerDecoder.forward`, equal to it.

    On a CPU a step of one utterance is ruled by how many operations there are, not by their arithmetic. So what does
    not change from step to step is computed once, keys and values are written in place (transformers' DynamicCache
    copies all of them at every step), and each sum goes with the product before it (addmm).

    Args:
        context_BSD: the text as encoded. voice_BV: one voice an utterance.
        noise: factors [B, L, D] of the pre-net's dropout, for each of its layers, step after step.
    """

    def __init__(self, decoder: TransformerDecoder, context_BSD: Tensor, voice_BV: Tensor, noise: Iterator[Tensor]):
        width = context_BSD.shape[-1]
        from_frame, from_token = decoder.input.weight.split(width, dim=1)
        self.prenet = [(layer.bias, transposed(layer.weight)) for layer in decoder.prenet.layers]
        self.from_frame, self.age = transposed(from_frame), decoder.age.weight
        self.base_BSD = F.linear(context_BSD, from_token) + decoder.voice(voice_BV)[:, None]
        self.rows_B = torch.arange(len(context_BSD), device=context_BSD.device)
        self.layers = [LayerStep(layer, len(context_BSD)) for layer in decoder.layers]
        self.norm, self.head_dim = decoder.norm, decoder.head_dim
        self.shape = (-1, decoder.frames_per_step, decoder.n_mels)
        self.out_weight = transposed(torch.cat((decoder.frames.weight, decoder.end.weight)))
        self.out_bias = torch.cat((decoder.frames.bias, decoder.end.bias))
        self.noise, self.done = noise, 0

    def step(self, previous_BC: Tensor, token_B: Tensor, steps_in_token_B: Tensor) -> tuple[Tensor, Tensor]:
        x = self._input(previous_BC, self.base_BSD[self.rows_B, token_B], steps_in_token_B, next(self.noise))
        turn = self._turn(x)
        for layer in self.layers:
            x = layer(x, self.done, turn)
        self.done += 1
        out = torch.addmm(self.out_bias, _normed(x, self.norm), self.out_weight).float()
        return out[:, :-1].view(self.shape), out[:, -1]

    def read(self, previous_NC: Tensor, token_N: Tensor, steps_in_token_N: Tensor) -> None:
        assert not self.done, "what is read comes before what is spoken"
        batch, steps = len(self.rows_B), len(token_N)
        noise_BNLD = torch.stack(list(islice(self.noise, steps)), dim=1)
        rows = torch.arange(steps, device=token_N.device).repeat(batch)
        base_XD = self.base_BSD[:, token_N].flatten(0, 1)
        x = self._input(previous_NC[rows], base_XD, steps_in_token_N[rows], noise_BNLD.flatten(0, 1)).unflatten(
            0, (batch, steps)
        )
        turn = self._turn(x, steps)
        for layer in self.layers:
            x = layer.read(x, turn)
        self.done = steps

    def _input(self, previous_XC: Tensor, base_XD: Tensor, steps_in_token_X: Tensor, noise_XLD: Tensor) -> Tensor:
        """What the first layer gets [X, D], for X steps of any utterances."""
        x = previous_XC
        for (bias, weight), noise_XD in zip(self.prenet, noise_XLD.unbind(1), strict=True):
            x = torch.addmm(bias, x, weight).relu_().mul_(noise_XD)
        x = torch.addmm(base_XD, x, self.from_frame)
        return x.add_(F.embedding(steps_in_token_X.clamp(max=MOST_STEPS_IN_TOKEN), self.age))

    def _turn(self, x: Tensor, steps: int = 1) -> tuple[Tensor, Tensor]:
        """Cosines and sines [N, 3, 1, K] of the next positions for queries and keys; values stay as they are."""
        table = rope_table(steps, self.head_dim, x.device, offset=self.done)
        cos, sin = (each.to(x.dtype) for each in table)
        cos_N3K = torch.stack((cos, cos, torch.ones_like(cos)), dim=1)
        sin_N3K = torch.stack((sin, sin, torch.zeros_like(sin)), dim=1)
        return cos_N3K[:, :, None], sin_N3K[:, :, None]


class LayerStep:
    """One position through a TransformerLayer, whose keys and values of the positions before it keeps."""

    def __init__(self, layer: TransformerLayer, batch: int):
        attention, feed_forward = layer.attention, layer.feed_forward
        self.attention_norm, self.feed_forward_norm = layer.attention_norm, layer.feed_forward_norm
        self.qkv, self.attention_out = transposed(attention.qkv.weight), transposed(attention.out.weight)
        self.gate_and_value = transposed(feed_forward.gate_and_value.weight)
        self.feed_forward_out = transposed(feed_forward.out.weight)
        self.shape = (3, -1, attention.head_dim)
        heads = self.qkv.shape[1] // (3 * attention.head_dim)
        self.room_B2HLK = self.qkv.new_empty(batch, 2, heads, FIRST_ROOM, attention.head_dim)

    def __call__(self, x_BD: Tensor, position: int, turn: tuple[Tensor, Tensor]) -> Tensor:
        qkv_B3HK = self._turned(x_BD, turn)
        self._make_room(position + 1)
        self.room_B2HLK[:, :, :, position] = qkv_B3HK[:, 1:]
        key, value = self.room_B2HLK[:, :, :, : position + 1].unbind(1)
        mixed = F.scaled_dot_product_attention(qkv_B3HK[:, 0, :, None], key, value).view(x_BD.shape)
        return self._fed_forward(torch.addmm(x_BD, mixed, self.attention_out))

    def read(self, x_BND: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """The first N positions at once."""
        batch, steps, width = x_BND.shape
        qkv_BN3HK = self._turned(x_BND.flatten(0, 1), tuple(table.repeat(batch, 1, 1, 1) for table in turn))
        query, key, value = qkv_BN3HK.unflatten(0, (batch, steps)).permute(2, 0, 3, 1, 4)
        self._make_room(steps)
        self.room_B2HLK[:, :, :, :steps] = torch.stack((key, value), dim=1)
        mixed_BHNK = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        mixed_XD = mixed_BHNK.transpose(1, 2).reshape(-1, width)
        return self._fed_forward(torch.addmm(x_BND.flatten(0, 1), mixed_XD, self.attention_out)).view(x_BND.shape)

    def _turned(self, x_XD: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
        """Queries, keys and values [X, 3, H, K] of X positions."""
        cos, sin = turn
        qkv_X3HK = (_normed(x_XD, self.attention_norm) @ self.qkv).view(len(x_XD), *self.shape)
        return torch.addcmul(qkv_X3HK * cos, qkv_X3HK.roll(cos.shape[-1] // 2, dims=-1), sin)

    def _make_room(self, positions: int) -> None:
        while positions > self.room_B2HLK.shape[3]:
            self.room_B2HLK = torch.cat((self.room_B2HLK, torch.empty_like(self.room_B2HLK)), dim=3)

    def _fed_forward(self, x_XD: Tensor) -> Tensor:
        gate, inner = (_normed(x_XD, self.feed_forward_norm) @ self.gate_and_value).chunk(2, dim=-1)
        return torch.addmm(x_XD, F.silu(gate).mul_(inner), self.feed_forward_out)


def transposed(weight: Tensor) -> Tensor:
    """[inputs, outputs] in memory too: one row times it takes half as long on a CPU (benchmarks/LOG.md)."""
    return weight.T.contiguous()


def _normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Without the cost of a module's call."""
    return F.layer_norm(x, norm.normalized_shape, norm.weight, None, norm.eps)
