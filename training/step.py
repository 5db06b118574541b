"""One optimizer step's gradients: every loss is the mean over the effective batch, all micro-batches, all ranks."""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from data_pipeline.collate import Batch
from modeling.losses import LossShape, element_counts, loss_sums


@dataclass
class LossWeights:
    """The weight of each loss, shared by the step that uses them and the callbacks that move them."""

    values: dict[str, float]

    def total(self, losses: dict[str, float]) -> float:
        return sum(weight * losses[name] for name, weight in self.values.items())


def forward_backward(
    accelerator: Accelerator,
    model: nn.Module,
    batches: list[Batch],
    weights: LossWeights,
    shape: LossShape,
) -> tuple[dict[str, float], int]:
    """Accumulate the gradients of one optimizer step; returns (losses, mel frames of all ranks).

    Each micro-batch contributes weight * sum / count, with the count of the whole effective batch, known
    before the first forward pass. DDP averages gradients over ranks, hence the factor of the number of ranks.
    """
    counts = _global_counts(accelerator, batches, shape)
    # Accelerate's backward divides by this; ours is 1, but the environment can set it.
    factor = accelerator.num_processes * accelerator.gradient_accumulation_steps
    names = list(weights.values)
    totals = torch.zeros(len(names), dtype=torch.float64, device=accelerator.device)
    for index, batch in enumerate(batches):
        is_last = index == len(batches) - 1
        tensors = {name: value.to(accelerator.device, non_blocking=True) for name, value in batch.tensors.items()}
        draw_as_planned(batch)
        with nullcontext() if is_last else accelerator.no_sync(model):
            with accelerator.autocast():
                output = model(**tensors)
            sums = loss_sums(output, tensors, shape)
            loss = sum(weights.values[name] * sums[name] / counts[name] for name in names)
            accelerator.backward(loss * (factor if batch.real else 0.0))
        if batch.real:
            totals += torch.stack([sums[name].detach().double() for name in names])
    totals = accelerator.reduce(totals, "sum")
    losses = {name: total / counts[name] for name, total in zip(names, totals.tolist(), strict=True)}
    return losses, counts["frames"]


def draw_as_planned(batch: Batch) -> None:
    """Seed torch for a batch's dropout and voices by its place in the data.

    So the noise is the same after a resume, which starts a new loader, and on any number of ranks.
    """
    torch.manual_seed(int(np.random.SeedSequence(batch.planned.seed).generate_state(1, np.uint64)[0]))


def _global_counts(accelerator: Accelerator, batches: list[Batch], shape: LossShape) -> dict[str, int]:
    """`element_counts` summed over micro-batches and ranks, and the number of mel frames."""
    counts: dict[str, int] = {}
    for batch in batches:
        mel, lengths = batch.tensors["mel"], batch.tensors["mel_lengths"]
        own = element_counts(lengths, mel.shape[-1], shape.frames_per_step) | {"frames": int(lengths.sum())}
        for name, count in own.items():
            counts[name] = counts.get(name, 0) + (count if batch.real else 0)
    if accelerator.num_processes > 1:
        summed = accelerator.reduce(torch.tensor(list(counts.values()), device=accelerator.device), "sum")
        counts = dict(zip(counts, summed.tolist(), strict=True))
    return {name: max(1, count) for name, count in counts.items()}


def clip_gradients(accelerator: Accelerator, model: nn.Module, norm: float) -> Tensor:
    """Scale the gradients down to `norm` (Pascanu et al. 2013); returns their norm before that, as it was."""
    return accelerator.clip_grad_norm_(model.parameters(), norm)
