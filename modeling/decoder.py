"""The decoder: a causal transformer that writes r mel frames a step and says when the current token ends.

A monotonic decoder that can neither skip nor loop: compare He et al. 2019 (stepwise monotonic attention) and
Shen et al. 2020 (Non-Attentive Tacotron).
Shapes: B utterances, N steps, r frames a step, C mel channels, D width.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modeling.configuration import GoyaConfig
from modeling.layers import Conv, LayerNorm, TransformerLayer, rope_table

LONGEST_AGE = 31  # older tokens (pauses) share one embedding


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


class Decoder(nn.Module):
    """Steps of (previous frame, current token, its age, voice) to (r frames, token-end logit)."""

    def __init__(self, config: GoyaConfig):
        super().__init__()
        width = config.hidden_size
        self.frames_per_step, self.n_mels, self.head_dim = config.frames_per_step, config.n_mels, config.head_dim
        self.prenet = PreNet(config)
        self.age = nn.Embedding(LONGEST_AGE + 1, width)
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

    def forward(self, previous_BNC: Tensor, token_BND: Tensor, age_BN: Tensor, voice_BV: Tensor):
        """All N steps at once, as training has them (modeling.decoder_step takes them one by one).

        Returns (frames [B, N * r, C] before the post-net, token-end logits [B, N]), both float32.
        """
        batch, steps, _ = previous_BNC.shape
        x = self.input(torch.cat((self.prenet(previous_BNC).to(token_BND.dtype), token_BND), dim=-1))
        x = x + self.age(age_BN.clamp(max=LONGEST_AGE)) + self.voice(voice_BV)[:, None]
        rope = rope_table(steps, self.head_dim, x.device)
        for layer in self.layers:
            x = layer(x, rope, causal=True)
        x = self.norm(x)
        frames = self.frames(x).view(batch, steps * self.frames_per_step, self.n_mels)
        return frames.float(), self.end(x).squeeze(-1).float()
