"""A reference clip's mel to a Gaussian posterior over voices; its KL to N(0, I) is the KL loss.

Global style as a variational latent: Kingma and Welling 2014; for speech, Hsu et al. 2019 (GMVAE-Tacotron).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modeling.configuration import GoyaConfig
from modeling.layers import Conv, length_mask


class VoiceEncoder(nn.Module):
    """Normalized mel [B, T, C] of any length to (mean, log-variance), each [B, voice_dim], in float32."""

    def __init__(self, config: GoyaConfig):
        super().__init__()
        width = config.hidden_size // 2
        self.convs = nn.ModuleList([Conv(config.n_mels, width, 5), Conv(width, width, 5), Conv(width, width, 5)])
        self.posterior = nn.Linear(2 * width, 2 * config.voice_dim)

    def forward(self, mel_BTC: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        mask = length_mask(lengths_B, mel_BTC.shape[1])[..., None]
        x = mel_BTC * mask
        for conv in self.convs:
            x = F.silu(conv(x)) * mask
        count = lengths_B[:, None].clamp(min=1)
        mean = x.float().sum(1) / count
        spread = ((x.float() - mean[:, None]).square() * mask).sum(1) / count
        pooled = torch.cat((mean, (spread + 1e-5).sqrt()), dim=-1)
        with torch.autocast(pooled.device.type, enabled=False):
            mean, log_variance = self.posterior(pooled).chunk(2, dim=-1)
        # Beyond these a sample's noise is either nothing or all there is; exp() of more can overflow.
        return mean, log_variance.clamp(-10.0, 4.0)


def kl_to_prior(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL of posteriors to N(0, I) in nats, summed over all (Kingma and Welling 2014, appendix B)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()


def sample_voice(mean: Tensor, log_variance: Tensor) -> Tensor:
    """One reparametrized draw from the posterior (Kingma and Welling 2014, section 2.4)."""
    return mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
