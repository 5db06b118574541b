"""A step that does not fit into memory is taken again in smaller micro-batches: same utterances, same gradient.

Until its gradients are exchanged a step is a rank's own affair, so the rank that ran out starts it over by itself while
the others wait for it; from the next step on all ranks take the smaller micro-batches. Only an exchange that has begun
cannot be started over. DistributedDataParallel exchanges during the last backward pass, so micro-batches that are
larger than all that went through before are taken without it, and their gradients exchanged afterwards.
"""

import gc
from dataclasses import replace

import torch
from accelerate import Accelerator
from torch import nn

from data_pipeline.batching.collate import Batch
from data_pipeline.batching.features import TOKEN_MULTIPLE, rounded_up
from data_pipeline.errors import UserError
from modeling.losses import LossShape
from training.distributed.sharding import is_sharded
from training.loop.step import LossWeights, OutOfMemoryInExchange, StepLosses, accumulate, global_counts, step_losses

# Tensor -> the one that holds its real lengths, and what they are padded to.
LENGTHS = {
    "input_ids": ("token_lengths", TOKEN_MULTIPLE),
    "mel": ("mel_lengths", 1),
    "reference_mel": ("reference_lengths", 1),
}


def split(batch: Batch, parts: int) -> list[Batch]:
    """A micro-batch in up to `parts` of about as many utterances each, with no more padding than each needs."""
    rows = len(batch.tensors["mel_lengths"])
    size = -(-rows // parts)
    return [batch] if parts == 1 or rows == 1 else [_part(batch, i, i + size) for i in range(0, rows, size)]


def _part(batch: Batch, start: int, end: int) -> Batch:
    tensors = {name: tensor[start:end] for name, tensor in batch.tensors.items()}
    for name, (lengths, multiple) in LENGTHS.items():
        tensors[name] = tensors[name][:, : rounded_up(int(tensors[lengths].max()), multiple)]
    planned = replace(batch.planned, seed=(*batch.planned.seed, start))
    return replace(batch, tensors=tensors, ids=batch.ids[start:end], voices=batch.voices[start:end], planned=planned)


class AutoMicrobatch:
    """training.loop.step.forward_backward in micro-batches that fit. Call it on every rank.

    parts: what each planned micro-batch is cut into, 1 to begin with.
    proven: (padded frames, padded frames x tokens) up to which a micro-batch of this rank went through.
    """

    def __init__(self, accelerator: Accelerator, model: nn.Module, weights: LossWeights, shape: LossShape):
        self.accelerator, self.model, self.weights, self.shape = accelerator, model, weights, shape
        self.parts = 1
        self.proven = (0, 0)

    def __call__(self, batches: list[Batch]) -> StepLosses:
        """Raises UserError where even single utterances do not fit, or the step cannot be started over."""
        counts = global_counts(self.accelerator, batches, self.shape)
        is_new = self._agree(batches) and not is_sharded(self.model)
        while True:
            pieces = self._cut(batches)
            sums = self._attempt(pieces, counts, exchange=not is_new)
            if sums is not None:
                break
            self._halve(pieces)
        if is_new:
            self._exchange()
        self.proven = tuple(map(max, _largest(pieces), self.proven))
        return step_losses(self.accelerator, pieces, sums, counts)

    def to_json(self) -> dict:
        return {"parts": self.parts, "proven": self.proven}

    def restore(self, saved: dict) -> None:
        self.parts, self.proven = saved["parts"], tuple(saved["proven"])

    def _cut(self, batches: list[Batch]) -> list[Batch]:
        return [piece for batch in batches for piece in split(batch, self.parts)]

    def _agree(self, batches: list[Batch]) -> bool:
        """Take over the largest `parts` of all ranks; whether a micro-batch of any is larger than those before."""
        if self.accelerator.num_processes == 1:
            return False
        is_new = any(map(int.__gt__, _largest(self._cut(batches)), self.proven))
        found = torch.tensor([self.parts, is_new], device=self.accelerator.device)
        torch.distributed.all_reduce(found, torch.distributed.ReduceOp.MAX)
        self.parts, is_new = found.tolist()
        return bool(is_new)

    def _attempt(self, pieces: list[Batch], counts: dict[str, int], exchange: bool) -> list | None:
        """This rank's loss sums, or None where its memory did not suffice."""
        try:
            return accumulate(self.accelerator, self.model, pieces, self.weights, self.shape, counts, exchange)
        except OutOfMemoryInExchange as error:
            raise UserError(self._cannot_start_over(pieces)) from error
        except torch.OutOfMemoryError as error:
            if is_sharded(self.model):  # whose forward passes exchange weights
                raise UserError(self._cannot_start_over(pieces)) from error
        # Outside of the handler, whose traceback holds on to the step's tensors.
        self.model.zero_grad(set_to_none=True)
        gc.collect()
        if self.accelerator.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _exchange(self) -> None:
        """What DistributedDataParallel does in its last backward pass: the mean over ranks."""
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= self.accelerator.num_processes

    def _halve(self, pieces: list[Batch]) -> None:
        most = max(len(piece.ids) for piece in pieces)
        if most == 1:
            frames = max(piece.tensors["mel"].shape[1] for piece in pieces)
            raise UserError(
                f"A single utterance of {frames} mel frames does not fit into memory ({self.accelerator.device}). "
                "Leave out the longest (--set data.max_duration_s=10), take a smaller --model-size, or give "
                "--set model.gradient_checkpointing=true."
            )
        self.parts *= 2
        where = f" on rank {self.accelerator.process_index}" if self.accelerator.num_processes > 1 else ""
        print(
            f"Out of memory{where}: from here on each batch is cut into {self.parts} and accumulated; the effective "
            f"batch stays the same. --batch-size {most // 2} with twice the --grad-accum does so from the start.",
            flush=True,
        )

    def _cannot_start_over(self, pieces: list[Batch]) -> str:
        most = max(len(piece.ids) for piece in pieces)
        return (
            f"Out of memory on rank {self.accelerator.process_index}, in the middle of an exchange with the other "
            f"ranks, where a step cannot be started over. Give --batch-size {max(1, most // 2)} and twice the "
            "--grad-accum: the run goes on from its newest checkpoint with the same effective batch."
        )


def _largest(pieces: list[Batch]) -> tuple[int, int]:
    return tuple(map(max, zip(*map(_size, pieces), strict=True)))


def _size(piece: Batch) -> tuple[int, int]:
    rows, frames = piece.tensors["mel"].shape[:2]
    return rows * frames, rows * frames * piece.tensors["input_ids"].shape[1]
