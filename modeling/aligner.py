"""Which token is being spoken at each decoder step: soft alignment, forward-sum loss, monotonic search.

Method: Badlani et al. 2021, "One TTS Alignment To Rule Them All"; search: Kim et al. 2020, Glow-TTS, algorithm 1.
Shapes: B utterances, N decoder steps, S text tokens, r frames a step, C mel channels, D width, A aligner width.
"""

import functools
import warnings
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from modeling.configuration import GoyaConfig
from modeling.layers import Conv, length_mask

NO_PATH = -1e4  # a log-probability that no path can afford, yet finite, so that no gradient is NaN


class Aligner(nn.Module):
    """Scores every (decoder step, token) pair by the distance of learned features of mel and text."""

    def __init__(self, config: GoyaConfig):
        super().__init__()
        width, features = config.hidden_size, config.aligner_dim
        # Kernels of 5 see 9 steps: the loss falls a quarter further in 300 steps than with 3 (benchmarks/LOG.md).
        self.mel_in = Conv(config.n_mels * config.frames_per_step, 2 * features, 5)
        self.mel_mid = Conv(2 * features, 2 * features, 5)
        self.mel_out = Conv(2 * features, features, 1)
        self.text_in = Conv(width, 2 * features, 3)
        self.text_out = Conv(2 * features, features, 1)

    def forward(self, embedded_BSD: Tensor, steps_BNX: Tensor, tokens_B: Tensor, steps_B: Tensor) -> Tensor:
        """Log-probability of each token at each step [B, N, S] in float32; padding tokens get `NO_PATH`.

        Args:
            embedded_BSD: token embeddings.
            steps_BNX: normalized mel with the r frames of a step side by side, X = r * C.
            tokens_B, steps_B: real lengths.
        """
        key = self.text_out(F.silu(self.text_in(embedded_BSD)))
        # Masked, as if zero-padded at its own end: no utterance may depend on how long its neighbors are.
        real_BN1 = length_mask(steps_B, steps_BNX.shape[1])[..., None]
        query = self.mel_out(F.silu(self.mel_mid(F.silu(self.mel_in(steps_BNX)) * real_BN1)))
        with torch.autocast(query.device.type, enabled=False):
            query, key = query.float(), key.float()
            # -|q - k|^2 without |q|^2, which the softmax over tokens cancels.
            score = 2 * query @ key.transpose(1, 2) - key.square().sum(-1)[:, None]
            score = score * query.shape[-1] ** -0.5
            text_mask = length_mask(tokens_B, key.shape[1])[:, None]
            score = score.log_softmax(-1, dtype=torch.float32) + beta_binomial_prior(tokens_B, steps_B, score.shape)
            return score.masked_fill(~text_mask, NO_PATH).log_softmax(-1)


@functools.lru_cache(maxsize=8)
def _log_factorials(up_to: int, device: torch.device) -> Tensor:
    # On the CPU: a Mac's GPU has no float64.
    return torch.arange(1, up_to + 1, dtype=torch.float64).lgamma().float().to(device)


def beta_binomial_prior(tokens_B: Tensor, steps_B: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Log-probability [B, N, S] that token s is spoken at step n, near the diagonal at first (Badlani et al. 2021).

    Beta-binomial of S - 1 trials with alpha = n, beta = N + 1 - n (n from 1). All arguments of the gamma
    functions are whole numbers, so a table of log-factorials serves instead of `lgamma` on B * N * S values.
    """
    _, steps, tokens = shape
    device = tokens_B.device
    table = _log_factorials(1024 * (1 + (steps + tokens + 2) // 1024), device)  # table[i] = log i!
    n = torch.arange(1, steps + 1, device=device)[None, :, None]
    k = torch.arange(tokens, device=device)[None, None, :]
    trials = (tokens_B - 1)[:, None, None]
    alpha, beta = n, (steps_B[:, None, None] + 1 - n).clamp(min=1)
    left = (trials - k).clamp(min=0)
    choose = table[trials] - table[k] - table[left]
    joint = table[k + alpha - 1] + table[left + beta - 1] - table[trials + alpha + beta - 1]
    return choose + joint - (table[alpha - 1] + table[beta - 1] - table[alpha + beta - 1])


def forward_sum(log_prob_BNS: Tensor, tokens_B: Tensor, steps_B: Tensor) -> Tensor:
    """Negative log-likelihood [B] of all monotonic paths that give every token one step or more.

    torch's CTC loss, with a blank that no path can afford, is that sum: the labels 1 .. S are all distinct,
    so the only moves left are to stay on a label or to go to the next (Shih et al. 2021, RAD-TTS, section 3).
    """
    batch, _, tokens = log_prob_BNS.shape
    with_blank = F.pad(log_prob_BNS, (1, 0), value=NO_PATH).transpose(0, 1)
    labels = torch.arange(1, tokens + 1, device=log_prob_BNS.device).expand(batch, tokens)
    return F.ctc_loss(with_blank, labels, steps_B, tokens_B, blank=0, reduction="none")


@torch.no_grad()
def monotonic_search(log_prob_BNS: Tensor, tokens_B: Tensor, steps_B: Tensor) -> Tensor:
    """The likeliest monotonic path, as the number of decoder steps of each token [B, S] (int64).

    Each utterance needs at least as many steps as tokens.
    """
    device = log_prob_BNS.device
    on_device = search_on(device) if device.type == "cuda" else None
    return (on_device or search_on_host)(log_prob_BNS, tokens_B, steps_B)


@functools.cache
def search_on(device: torch.device) -> Callable[[Tensor, Tensor, Tensor], Tensor] | None:
    """The search as a kernel on this GPU; None, and a warning, where Triton is missing or cannot build one.

    What Triton builds it builds on the machine itself, with a C compiler and Python's headers, of which no package
    tells that they are there: so it is tried, on one token.
    """
    try:
        from modeling.triton_search import search

        one = torch.ones(1, dtype=torch.int64, device=device)
        search(torch.zeros(1, 1, 1, device=device), one, one)
    except Exception as error:  # of Triton, of its compilers, of the driver: each has its own kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(
            f"Triton cannot build the alignment search for {device} ({reason}): the CPU does it, for which each "
            "micro-batch waits. It needs the package triton, a C compiler, and Python's headers.",
            stacklevel=3,
        )
        return None
    return search


def search_on_host(log_prob_BNS: Tensor, tokens_B: Tensor, steps_B: Tensor) -> Tensor:
    """`monotonic_search` in numpy, whose small operations cost a tenth of torch's.

    One pass over the steps, vectorized over utterances and tokens.
    """
    batch, steps, tokens = log_prob_BNS.shape
    score = np.ascontiguousarray(log_prob_BNS.float().transpose(0, 1).cpu().numpy())
    token_count, step_count = tokens_B.cpu().numpy(), steps_B.cpu().numpy()
    assert (step_count >= token_count).all(), "an utterance has more tokens than decoder steps"

    best = np.full((batch, tokens + 1), -np.inf, dtype=np.float32)  # column 0 stands for "before the first token"
    best[:, 1] = score[0, :, 0]
    moved = np.zeros((steps, batch, tokens), dtype=bool)
    for n in range(1, steps):
        np.greater(best[:, :-1], best[:, 1:], out=moved[n])
        best[:, 1:] = np.maximum(best[:, :-1], best[:, 1:]) + score[n]
        best[:, 0] = -np.inf

    durations = np.zeros((batch, tokens), dtype=np.int64)
    rows, token = np.arange(batch), token_count - 1
    for n in range(steps - 1, -1, -1):
        inside = n < step_count
        durations[rows, token] += inside
        token = token - (inside & moved[n, rows, token])
    return torch.from_numpy(durations).to(log_prob_BNS.device)


def token_of_step(durations_BS: Tensor, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Durations [B, S] to, for each decoder step: its token, steps since that token began, whether it ends here.

    Returns (token [B, N], age [B, N], ends [B, N] bool); steps past an utterance's end stay on its last token.
    """
    ends_BS = durations_BS.cumsum(1)
    step = torch.arange(steps, device=durations_BS.device).expand(durations_BS.shape[0], steps).contiguous()
    token = torch.searchsorted(ends_BS, step, right=True)
    last = (durations_BS > 0).sum(1, keepdim=True) - 1
    token = torch.minimum(token, last)
    end = ends_BS.gather(1, token)
    age = step - (end - durations_BS.gather(1, token))
    return token, age, step == end - 1
