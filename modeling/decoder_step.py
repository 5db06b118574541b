"""The decoder one step at a time, for speaking: a lean spelling of `Decoder.forward`, equal to it.

On a CPU a step of one utterance is ruled by how many operations there are, not by their arithmetic. So what does not
change from step to step is computed once, keys and values are written in place (transformers' DynamicCache copies all
of them at every step), and each sum goes with the product before it (addmm).
Shapes: B utterances, S text tokens, C mel channels, D width, H heads, K head width, V voice dimensions.
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
        x = previous_BC
        for (bias, weight), noise_BD in zip(self.prenet, noise_BLD.unbind(1), strict=True):
            x = torch.addmm(bias, x, weight).relu_().mul_(noise_BD)
        x = torch.addmm(self.base_BSD[self.rows_B, token_B], x, self.from_frame)
        x += F.embedding(age_B.clamp(max=LONGEST_AGE), self.age)
        turn = self._turn(x)
        for layer in self.layers:
            x = layer(x, self.done, turn)
        self.done += 1
        out = torch.addmm(self.out_bias, _normed(x, self.norm), self.out_weight).float()
        return out[:, :-1].view(self.shape), out[:, -1]

    def _turn(self, x_BD: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and sines [3, 1, K] of this position for queries and keys; values stay as they are."""
        cos, sin = (table[0].to(x_BD.dtype) for table in rope_table(1, self.head_dim, x_BD.device, offset=self.done))
        cos_3K, sin_3K = torch.stack((cos, cos, torch.ones_like(cos))), torch.stack((sin, sin, torch.zeros_like(sin)))
        return cos_3K[:, None], sin_3K[:, None]


class LayerStep:
    """One position through a TransformerLayer, whose keys and values of the positions before it keeps."""

    def __init__(self, layer: TransformerLayer, batch: int):
        attention, feed_forward = layer.attention, layer.feed_forward
        self.attention_norm, self.feed_forward_norm = layer.attention_norm, layer.feed_forward_norm
        self.qkv, self.attention_out = transposed(attention.qkv.weight), transposed(attention.out.weight)
        self.gate_and_value = transposed(feed_forward.gate_and_value.weight)
        self.feed_forward_out = transposed(feed_forward.out.weight)
        self.shape = (batch, 3, -1, attention.head_dim)
        heads = self.qkv.shape[1] // (3 * attention.head_dim)
        self.room_B2HLK = self.qkv.new_empty(batch, 2, heads, FIRST_ROOM, attention.head_dim)

    def __call__(self, x_BD: Tensor, position: int, turn: tuple[Tensor, Tensor]) -> Tensor:
        cos, sin = turn
        qkv_B3HK = (_normed(x_BD, self.attention_norm) @ self.qkv).view(self.shape)
        qkv_B3HK = torch.addcmul(qkv_B3HK * cos, qkv_B3HK.roll(cos.shape[-1] // 2, dims=-1), sin)
        if position == self.room_B2HLK.shape[3]:
            self.room_B2HLK = torch.cat((self.room_B2HLK, torch.empty_like(self.room_B2HLK)), dim=3)
        self.room_B2HLK[:, :, :, position] = qkv_B3HK[:, 1:]
        key, value = self.room_B2HLK[:, :, :, : position + 1].unbind(1)
        mixed = F.scaled_dot_product_attention(qkv_B3HK[:, 0, :, None], key, value).view(x_BD.shape)
        x_BD = torch.addmm(x_BD, mixed, self.attention_out)
        gate, inner = (_normed(x_BD, self.feed_forward_norm) @ self.gate_and_value).chunk(2, dim=-1)
        return torch.addmm(x_BD, F.silu(gate).mul_(inner), self.feed_forward_out)


def transposed(weight: Tensor) -> Tensor:
    """[inputs, outputs] in memory too: one row times it takes half as long on a CPU (benchmarks/LOG.md)."""
    return weight.T.contiguous()


def _normed(x: Tensor, norm: nn.LayerNorm) -> Tensor:
    """Without the cost of a module's call."""
    return F.layer_norm(x, norm.normalized_shape, norm.weight, None, norm.eps)
