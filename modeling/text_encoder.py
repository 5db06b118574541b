"""Text tokens to context vectors: a convolution for the neighbors, a bidirectional transformer for the sentence."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modeling.configuration import GoyaConfig
from modeling.layers import Conv, LayerNorm, TransformerLayer, length_mask, rope_table


class TextEncoder(nn.Module):
    """[B, S] token ids to [B, S, D]. Rows past `lengths_B` are padding and influence nothing.

    frozen_tokens: so many, the first of the table, take no gradient, while the rest of it trains (fine-tuning).
    """

    frozen_tokens = 0

    def __init__(self, config: GoyaConfig):
        super().__init__()
        width = config.hidden_size
        self.head_dim = config.head_dim
        self.embedding = nn.Embedding(config.vocab_size, width, padding_idx=0)
        self.conv = Conv(width, width, 5)
        self.layers = nn.ModuleList(
            TransformerLayer(width, config.head_dim, config.ff_size, config.dropout)
            for _ in range(config.encoder_layers)
        )
        self.norm = LayerNorm(width)

    def forward(self, ids_BS: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Returns (context [B, S, D], embeddings [B, S, D]): the aligner compares mels with the latter."""
        mask_BS = length_mask(lengths_B, ids_BS.shape[1])
        embedded = self.embedding(ids_BS) * mask_BS[..., None]
        if self.frozen_tokens:
            embedded = torch.where((ids_BS < self.frozen_tokens)[..., None], embedded.detach(), embedded)
        x = embedded + F.silu(self.conv(embedded)) * mask_BS[..., None]
        rope = rope_table(ids_BS.shape[1], self.head_dim, ids_BS.device)
        for layer in self.layers:
            x = layer(x, rope, mask_BS[:, None, None, :])
        return self.norm(x), embedded
