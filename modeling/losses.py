"""The losses. Each is a sum over real elements beside their count, so that the trainer can divide by the
count of the whole effective batch: every micro-batch, every rank.

Shapes: B utterances, T mel frames, C mel channels, N decoder steps, S tokens, V voice dimensions.
Adding a loss: write a function below, name it in `SUMS`, say in `element_counts` what it is a mean over. One of a
package of your own is a `Loss` (docs/extending.md).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from data_pipeline import plugins
from data_pipeline.errors import UserError
from modeling.aligner import forward_sum, token_of_step
from modeling.layers import length_mask
from modeling.model import GoyaOutput
from modeling.voice_encoder import kl_to_prior


@dataclass(frozen=True)
class Loss:
    """A loss that a package adds, under its name in the group goya.losses.

    sum: (output, batch, shape) -> a scalar Tensor, summed over real elements. batch: the collated tensors, such as
    mel [B, T, C], mel_lengths [B], tokens [B, S] and token_lengths [B] (data_pipeline.batching.collate).
    count: (batch, shape) -> the number of those elements, a whole number; the loss is their sums over their counts, of
    all micro-batches and ranks of an optimizer step.
    """

    sum: "Callable[[GoyaOutput, Mapping[str, Tensor], LossShape], Tensor]"
    count: "Callable[[Mapping[str, Tensor], LossShape], int]"


@dataclass(frozen=True)
class LossShape:
    """How the losses are formed (their weights belong to the trainer).

    Args:
        mel_loss: "l1" or "huber".
        huber_delta: in log-mel units; errors below it count quadratically (Huber 1964).
        mel_smoothing: share of each mel target that comes from its two neighbors in time (`smoothed_in_time`).
        stop_smoothing: token-end targets become s / 2 and 1 - s / 2 (Szegedy et al. 2016, section 7).
        frames_per_step: r.
        added: losses of packages (`added_losses`).
    """

    mel_loss: str = "l1"
    huber_delta: float = 0.6
    mel_smoothing: float = 0.0
    stop_smoothing: float = 0.0
    frames_per_step: int = 2
    added: Mapping[str, Loss] = field(default_factory=dict)


def element_counts(mel_lengths: Tensor, n_mels: int, frames_per_step: int) -> dict[str, int]:
    """What each loss is a mean over, known before the forward pass: mel elements, steps, mel elements, utterances."""
    elements = int(mel_lengths.sum()) * n_mels
    steps = int((-(-mel_lengths // frames_per_step)).sum())
    return {"mel": elements, "stop": steps, "kl": elements, "alignment": len(mel_lengths)}


def mel_sum(output: GoyaOutput, batch: Mapping[str, Tensor], shape: LossShape) -> Tensor:
    """L1 or Huber of both mel predictions, averaged over the two, summed over real mel elements."""
    target = smoothed_in_time(batch["mel"].float(), batch["mel_lengths"], shape.mel_smoothing)
    mask = length_mask(batch["mel_lengths"], target.shape[1])[..., None]
    total = target.new_zeros(())
    for prediction in (output.mel_before_BTC, output.mel_after_BTC):
        if shape.mel_loss == "huber":
            # Divided by delta, so that large errors cost what they cost under L1 and the mel weights compare.
            each = F.huber_loss(prediction, target, reduction="none", delta=shape.huber_delta) / shape.huber_delta
        else:
            each = (prediction - target).abs()
        total = total + (each * mask).sum()
    return total / 2


def smoothed_in_time(mel_BTC: Tensor, lengths_B: Tensor, share: float) -> Tensor:
    """Label smoothing of a regression target: `share` of each frame is the mean of the frames beside it.

    Shrinking toward a constant, as for classes, would only bias the level of the speech: undone at synthesis it
    is no smoothing at all. A first or last frame is its own missing neighbor.
    """
    if not share:
        return mel_BTC
    before = torch.cat((mel_BTC[:, :1], mel_BTC[:, :-1]), dim=1)
    after = torch.cat((mel_BTC[:, 1:], mel_BTC[:, -1:]), dim=1)
    is_last = torch.arange(mel_BTC.shape[1], device=mel_BTC.device) == lengths_B[:, None] - 1
    after = torch.where(is_last[..., None], mel_BTC, after)
    return (1 - share) * mel_BTC + share / 2 * (before + after)


def stop_sum(output: GoyaOutput, batch: Mapping[str, Tensor], shape: LossShape) -> Tensor:
    """Binary cross-entropy of "this token ends here", summed over real decoder steps."""
    steps_B = -(-batch["mel_lengths"] // shape.frames_per_step)
    mask = length_mask(steps_B, output.end_logits_BN.shape[1])
    target = output.ends_BN.float() * (1 - shape.stop_smoothing) + shape.stop_smoothing / 2
    each = F.binary_cross_entropy_with_logits(output.end_logits_BN, target, reduction="none")
    return (each * mask).sum()


def kl_sum(output: GoyaOutput, batch: Mapping[str, Tensor], shape: LossShape) -> Tensor:
    """KL of the voice posterior to N(0, I) in nats, summed over utterances.

    Its count is mel elements, which puts it on the ELBO's own scale beside a mean over mel elements.
    """
    return kl_to_prior(output.voice_mean_BU.float(), output.voice_log_variance_BU.float())


def alignment_sum(output: GoyaOutput, batch: Mapping[str, Tensor], shape: LossShape) -> Tensor:
    """`alignment_of_each`, summed over utterances."""
    return alignment_of_each(output, batch, shape.frames_per_step).sum()


def alignment_of_each(output: GoyaOutput, batch: Mapping[str, Tensor], frames_per_step: int) -> Tensor:
    """Forward-sum plus hardening of each utterance [B], in nats per decoder step.

    Hardening is the cross-entropy of the soft alignment to the searched path (Badlani et al. 2021, section 2.3).
    """
    steps_B = -(-batch["mel_lengths"] // frames_per_step)
    alignment_BNS = output.alignment_BNS
    path_BN = token_of_step(output.durations_BS, alignment_BNS.shape[1])[0]
    hard_BN = alignment_BNS.gather(2, path_BN[..., None]).squeeze(-1)
    hardening_B = -(hard_BN * length_mask(steps_B, hard_BN.shape[1])).sum(1)
    return (forward_sum(alignment_BNS, batch["token_lengths"], steps_B) + hardening_B) / steps_B


SUMS = {"mel": mel_sum, "stop": stop_sum, "kl": kl_sum, "alignment": alignment_sum}


def added_losses(names: Iterable[str]) -> dict[str, Loss]:
    """Those that installed packages add under these names. Raises UserError for a name that none has."""
    found: dict[str, Loss] = {}
    for name in names:
        loss = plugins.find(plugins.LOSSES, name, SUMS, Loss)
        if isinstance(loss, Loss):
            found[name] = loss
        else:
            known = ", ".join(plugins.names(plugins.LOSSES, {})) or "none is installed"
            raise UserError(
                f"loss.added_weights names {name!r}; expected a loss that an installed package adds ({known}). The "
                f"weights of {', '.join(SUMS)} are settings of their own, such as loss.mel_weight."
            )
    return found


def loss_sums(output: GoyaOutput, batch: Mapping[str, Tensor], shape: LossShape) -> dict[str, Tensor]:
    """Every loss of `SUMS` and those added, as float32 scalar sums; divide by `loss_counts` of the effective batch."""
    functions = SUMS | {name: loss.sum for name, loss in shape.added.items()}
    with torch.autocast(output.mel_after_BTC.device.type, enabled=False):
        return {name: function(output, batch, shape) for name, function in functions.items()}


def loss_counts(batch: Mapping[str, Tensor], shape: LossShape) -> dict[str, int]:
    """What each loss of `loss_sums` is a mean over, known before the forward pass."""
    own = element_counts(batch["mel_lengths"], batch["mel"].shape[-1], shape.frames_per_step)
    return own | {name: loss.count(batch, shape) for name, loss in shape.added.items()}
