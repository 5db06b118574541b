"""Teacher-forced validation by measures that no level's weights or smoothing touch."""

from collections.abc import Callable, Mapping

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from data_pipeline.batching.loader import Loader
from data_pipeline.batching.stall_watchdog import BrokenOff
from modeling.layers import length_mask
from modeling.losses import Loss, LossShape, loss_counts, loss_sums
from modeling.model import GoyaForTextToSpeech
from training.loop.step import draw_as_planned

MOST_VOICES = 200  # kept in the checkpoint's config, those of validation first


@torch.no_grad()
def validate(
    accelerator: Accelerator,
    model: GoyaForTextToSpeech,
    loader: Loader,
    is_interrupted: Callable[[], bool] = bool,
    added: Mapping[str, Loss] | None = None,
) -> tuple[dict, dict]:
    """Means over the whole validation split, equal on all ranks, and the voices of its speakers.

    Returns (metrics, voices): eval_mel is the L1 of the final mel in natural-log units, eval_stop the token-end
    cross-entropy, eval_end_accuracy the share of decoder steps whose token-end logit is on the right side of
    zero, eval_kl in nats per mel element, eval_alignment in nats per decoder step; losses that packages add (`added`)
    are as they define themselves. `model` is unwrapped.

    Raises BrokenOff where `is_interrupted`, asked on every rank before each batch, says so.
    """
    shape = LossShape(mel_loss="l1", frames_per_step=model.config.frames_per_step, added=added or {})
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    heard: dict[str, list] = {}
    model.eval()
    for batch in loader.epoch(loader.plan.start(0)):
        if is_interrupted():
            model.train()
            raise BrokenOff
        tensors = {name: value.to(accelerator.device) for name, value in batch.tensors.items()}
        draw_as_planned(batch)
        with accelerator.autocast():
            output = model(**tensors)
        if not batch.real:
            continue  # only now: the ranks of a sharded model go through every pass together
        batch_sums, batch_counts = _measures(output, tensors, shape)
        for name, value in batch_sums.items():
            sums[name] = sums.get(name, 0.0) + float(value)
            counts[name] = counts.get(name, 0) + batch_counts[name]
        for name, voice_V in zip(batch.voices, output.voice_BV.cpu(), strict=True):
            heard.setdefault(name, []).append(voice_V)
    model.train()
    everyone = gather_object([(sums, counts, heard)])
    metrics = {
        f"eval_{name}": sum(s.get(name, 0.0) for s, _, _ in everyone)
        / max(1, sum(c.get(name, 0) for _, c, _ in everyone))
        for name in everyone[0][0]
    }
    return metrics, _mean_voices([found for _, _, found in everyone])


def _measures(output, tensors, shape: LossShape) -> tuple[dict, dict]:
    sums = loss_sums(output, tensors, shape)
    counts = loss_counts(tensors, shape)
    real_BT1 = length_mask(tensors["mel_lengths"], tensors["mel"].shape[1])[..., None]
    sums["mel"] = ((output.mel_after_BTC - tensors["mel"]).abs() * real_BT1).sum()
    steps_B = -(-tensors["mel_lengths"] // shape.frames_per_step)
    right_BN = (output.end_logits_BN > 0) == output.ends_BN
    sums["end_accuracy"] = (right_BN & length_mask(steps_B, right_BN.shape[1])).sum()
    counts["end_accuracy"] = counts["stop"]
    return sums, counts


def _mean_voices(found: list[dict[str, list]]) -> dict[str, list[float]]:
    merged: dict[str, list] = {}
    for heard in found:
        for name, voices in heard.items():
            merged.setdefault(name, []).extend(voices)
    most_heard = sorted(merged, key=lambda voice: (-len(merged[voice]), voice))[:MOST_VOICES]
    return {voice: torch.stack(merged[voice]).mean(0).tolist() for voice in most_heard}
