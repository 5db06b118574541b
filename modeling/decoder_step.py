"""The decoder one step at a time, for speaking: a lean spelling of `Decoder.forward`, equal to it.

On a CPU a step of one utterance is ruled by how many operations there are, not by their arithmetic. So what does not
change from step to step is computed once, keys and values are written in place (transformers' DynamicCache copies all
of them at every step), and each sum goes with the product before it (addmm).
Shapes: B utterances, N steps taken at once, X steps of any utterances, S text tokens, C mel channels, D width, H heads,
K head width, V voice dimensions, L layers of the pre-net.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modeling.decoder import LONGEST_AGE, Decoder
from modeling.layers import TransformerLayer, rope_table

FIRST_ROOM = 256  # steps


class DecoderStep:
    """Call it with each step's inputs in order; it remembers the steps before.

    Args:
        decoder: plain, unsharded, its weights as they are to be for as long as this object is used.
        context_BSD: the text as encoded. voice_BV: one voice an utterance.
    """

    def __init__(self, decoder: Decoder, context_BSD: Tensor, voice_BV: Tensor):
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
        self.done = 0

    def __call__(self, previous_BC: Tensor, token_B: Tensor, age_B: Tensor, noise_BLD: Tensor) -> tuple[Tensor, Tensor]:
        """(frames [B, r, C] before the post-net, token-end logit [B]), both float32.

        Args:
            previous_BC: the frame before. token_B: indices into the text. age_B: steps spent on the token so far.
            noise_BLD: factors of the pre-net's dropout, for each of its layers.
        """
        x = self._input(previous_BC, self.base_BSD[self.rows_B, token_B], age_B, noise_BLD)
        turn = self._turn(x)
        for layer in self.layers:
            x = layer(x, self.done, turn)
        self.done += 1
        out = torch.addmm(self.out_bias, _normed(x, self.norm), self.out_weight).float()
        return out[:, :-1].view(self.shape), out[:, -1]

    def read(self, previous_NC: Tensor, token_N: Tensor, age_N: Tensor, noise_BNLD: Tensor) -> None:
        """Take the first N steps at once, of frames that are known and the same in every utterance."""
        assert not self.done, "what is read comes before what is spoken"
        batch, steps = noise_BNLD.shape[:2]
        rows = torch.arange(steps, device=token_N.device).repeat(batch)
        base_XD = self.base_BSD[:, token_N].flatten(0, 1)
        x = self._input(previous_NC[rows], base_XD, age_N[rows], noise_BNLD.flatten(0, 1)).unflatten(0, (batch, steps))
        turn = self._turn(x, steps)
        for layer in self.layers:
            x = layer.read(x, turn)
        self.done = steps

    def _input(self, previous_XC: Tensor, base_XD: Tensor, age_X: Tensor, noise_XLD: Tensor) -> Tensor:
        """What the first layer gets [X, D], for X steps of any utterances."""
        x = previous_XC
        for (bias, weight), noise_XD in zip(self.prenet, noise_XLD.unbind(1), strict=True):
            x = torch.addmm(bias, x, weight).relu_().mul_(noise_XD)
        x = torch.addmm(base_XD, x, self.from_frame)
        return x.add_(F.embedding(age_X.clamp(max=LONGEST_AGE), self.age))

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
