"""One optimizer step's gradients: every loss is the mean over the effective batch, all micro-batches, all ranks."""

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from data_pipeline.batching.collate import Batch
from modeling.losses import LossShape, loss_counts, loss_sums


@dataclass
class LossWeights:
    """The weight of each loss, shared by the step that uses them and the callbacks that move them."""

    values: dict[str, float]

    def total(self, losses: dict[str, float]) -> float:
        return sum(weight * losses[name] for name, weight in self.values.items())


class OutOfMemoryInExchange(RuntimeError):
    """Memory ran out in a backward pass in which the ranks exchange gradients."""


class StepLosses(NamedTuple):
    """What one optimizer step's passes found, the same on every rank but for `suspects`.

    losses: means over the effective batch. frames: real mel frames of all ranks. suspects: utterances of this rank's
    micro-batches that gave a loss that is not finite.
    """

    losses: dict[str, float]
    frames: int
    suspects: list[str]


def forward_backward(
    accelerator: Accelerator,
    model: nn.Module,
    batches: list[Batch],
    weights: LossWeights,
    shape: LossShape,
) -> StepLosses:
    """Accumulate the gradients of one optimizer step.

    Each micro-batch contributes weight * sum / count, with the count of the whole effective batch, known
    before the first forward pass. DDP averages gradients over ranks, hence the factor of the number of ranks.
    """
    counts = global_counts(accelerator, batches, shape)
    sums = accumulate(accelerator, model, batches, weights, shape, counts)
    return step_losses(accelerator, batches, sums, counts)


def accumulate(
    accelerator: Accelerator,
    model: nn.Module,
    batches: list[Batch],
    weights: LossWeights,
    shape: LossShape,
    counts: dict[str, int],
    exchange: bool = True,
) -> list[dict[str, Tensor]]:
    """Forward and backward of this rank's micro-batches; the loss sums of each that is real, as `sums_dtype`.

    The last backward pass also exchanges gradients between the ranks, unless `exchange` is off; raises
    OutOfMemoryInExchange where that one runs out of memory, torch's OutOfMemoryError for any other pass.
    """
    # Accelerate's backward divides by this; ours is 1, but the environment can set it.
    factor = accelerator.num_processes * accelerator.gradient_accumulation_steps
    found = []
    for index, batch in enumerate(batches):
        exchanges = exchange and index == len(batches) - 1
        tensors = {name: value.to(accelerator.device, non_blocking=True) for name, value in batch.tensors.items()}
        draw_as_planned(batch)
        with nullcontext() if exchanges else accelerator.no_sync(model):
            with accelerator.autocast():
                output = model(**tensors)
            sums = loss_sums(output, tensors, shape)
            loss = sum(weight * sums[name] / counts[name] for name, weight in weights.values.items())
            try:
                accelerator.backward(loss * (factor if batch.real else 0.0))
            except torch.OutOfMemoryError as error:
                if exchanges and accelerator.num_processes > 1:
                    raise OutOfMemoryInExchange from error
                raise
        if batch.real:
            found.append({name: value.detach().to(sums_dtype(value.device)) for name, value in sums.items()})
    return found


def sums_dtype(device: torch.device) -> torch.dtype:
    """Of sums over micro-batches and ranks: float64, which a Mac's GPU does not have."""
    return torch.float32 if device.type == "mps" else torch.float64


def step_losses(
    accelerator: Accelerator, batches: list[Batch], sums: list[dict[str, Tensor]], counts: dict[str, int]
) -> StepLosses:
    """Sums of this rank's real micro-batches to the means over all ranks'."""
    names = [name for name in counts if name != "frames"]
    totals = torch.stack([torch.stack([one[name] for name in names]) for one in sums]) if sums else None
    own = (
        totals.sum(0)
        if sums
        else torch.zeros(len(names), dtype=sums_dtype(accelerator.device), device=accelerator.device)
    )
    reduced = accelerator.reduce(own, "sum").tolist()
    losses = {name: total / counts[name] for name, total in zip(names, reduced, strict=True)}
    suspects: list[str] = []
    if sums and not all(map(math.isfinite, reduced)):
        real = [batch for batch in batches if batch.real]
        broken = (~totals.isfinite().all(1)).tolist()
        suspects = [name for batch, is_broken in zip(real, broken, strict=True) if is_broken for name in batch.ids]
    return StepLosses(losses, counts["frames"], suspects)


def draw_as_planned(batch: Batch) -> None:
    """Seed torch for a batch's dropout and voices by its place in the data.

    So the noise is the same after a resume, which starts a new loader, and on any number of ranks.
    """
    torch.manual_seed(int(np.random.SeedSequence(batch.planned.seed).generate_state(1, np.uint64)[0]))


def own_rng_kept(device: torch.device) -> AbstractContextManager:
    """torch's random states of this process are, after it, what they were before.

    The device is named: of every GPU of the machine otherwise, so that each process would take memory on all of them;
    and a Mac's GPU is not one that torch can name there (2.14). Its state is seeded anew by each batch.
    """
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def global_counts(accelerator: Accelerator, batches: list[Batch], shape: LossShape) -> dict[str, int]:
    """`loss_counts` summed over micro-batches and ranks, and the number of mel frames."""
    counts: dict[str, int] = {}
    for batch in batches:
        own = loss_counts(batch.tensors, shape) | {"frames": int(batch.tensors["mel_lengths"].sum())}
        for name, count in own.items():
            counts[name] = counts.get(name, 0) + (count if batch.real else 0)
    if accelerator.num_processes > 1:
        summed = accelerator.reduce(torch.tensor(list(counts.values()), device=accelerator.device), "sum")
        counts = dict(zip(counts, summed.tolist(), strict=True))
    return {name: max(1, count) for name, count in counts.items()}


def clip_gradients(accelerator: Accelerator, model: nn.Module, norm: float) -> Tensor:
    """Scale the gradients down to `norm` (Pascanu et al. 2013); returns their norm before that, as it was."""
    return accelerator.clip_grad_norm_(model.parameters(), norm)
