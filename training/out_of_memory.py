"""A step that does not fit into memory is taken again in smaller micro-batches: same utterances, same gradient.

The rank that ran out must not leave the others waiting in an exchange of gradients. So micro-batches larger than any
that went through before are taken without an exchange; the ranks then tell each other how it went, and exchange
gradients, or start the step over with half-size micro-batches, all of them. Sizes that went through before take the
usual way, with the exchange during the backward pass.
"""

import gc
from dataclasses import replace

import torch
from accelerate import Accelerator
from torch import nn

from data_pipeline.collate import Batch
from data_pipeline.errors import UserError
from data_pipeline.features import FRAME_MULTIPLE, TOKEN_MULTIPLE, rounded_up
from modeling.losses import LossShape
from training.agreement import on_any_rank
from training.sharding import is_sharded
from training.step import LossWeights, StepLosses, accumulate, global_counts, step_losses

# Tensor -> the one that holds its real lengths, and what they are padded to.
LENGTHS = {
    "input_ids": ("token_lengths", TOKEN_MULTIPLE),
    "mel": ("mel_lengths", FRAME_MULTIPLE),
    "reference_mel": ("reference_lengths", FRAME_MULTIPLE),
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


class FittingStep:
    """training.step.forward_backward in micro-batches that fit. Call it on every rank.

    parts: what each planned micro-batch is cut into, 1 to begin with; all ranks have the same.
    proven: (padded frames, padded frames x tokens) up to which a micro-batch of this rank went through.
    """

    def __init__(self, accelerator: Accelerator, model: nn.Module, weights: LossWeights, shape: LossShape):
        self.accelerator, self.model, self.weights, self.shape = accelerator, model, weights, shape
        self.parts = 1
        self.proven = (0, 0)

    def __call__(self, batches: list[Batch]) -> StepLosses:
        """Raises UserError where even single utterances do not fit, or the step cannot be taken again."""
        counts = global_counts(self.accelerator, batches, self.shape)
        while True:
            pieces = [piece for batch in batches for piece in split(batch, self.parts)]
            sums = self._attempt(pieces, counts)
            if sums is not None:
                return step_losses(self.accelerator, pieces, sums, counts)
            self._halve(pieces)

    def to_json(self) -> dict:
        return {"parts": self.parts, "proven": self.proven}

    def restore(self, saved: dict) -> None:
        self.parts, self.proven = saved["parts"], tuple(saved["proven"])

    def _attempt(self, pieces: list[Batch], counts: dict[str, int]) -> list | None:
        """Gradients of all ranks and this rank's loss sums, or None where some rank's memory did not suffice."""
        alone, sizes = self.accelerator.num_processes == 1, [_size(piece) for piece in pieces]
        largest = tuple(map(max, zip(*sizes, strict=True)))
        is_new = on_any_rank(self.accelerator, any(map(int.__gt__, largest, self.proven)))
        careful = not alone and is_new and not is_sharded(self.model)
        sums, failed = None, False
        try:
            sums = accumulate(
                self.accelerator, self.model, pieces, self.weights, self.shape, counts, exchange=not careful
            )
        except torch.OutOfMemoryError as error:
            if not alone and not careful:
                raise UserError(self._cannot_repeat(pieces)) from error
            failed = True
        # Outside of the handler, whose traceback holds on to the step's tensors.
        if on_any_rank(self.accelerator, failed) if careful else failed:
            self._clear()
            return None
        if careful:
            self._exchange()
        self.proven = tuple(map(max, largest, self.proven))
        return sums

    def _exchange(self) -> None:
        """What DistributedDataParallel does in its last backward pass: the mean over ranks."""
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= self.accelerator.num_processes

    def _clear(self) -> None:
        self.model.zero_grad(set_to_none=True)
        gc.collect()
        if self.accelerator.device.type == "cuda":
            torch.cuda.empty_cache()

    def _halve(self, pieces: list[Batch]) -> None:
        most = max(len(piece.ids) for piece in pieces)
        if not on_any_rank(self.accelerator, most > 1):
            frames = max(piece.tensors["mel"].shape[1] for piece in pieces)
            raise UserError(
                f"A single utterance of {frames} mel frames does not fit into memory ({self.accelerator.device}). "
                "Leave out the longest (--set data.max_duration_s=10), take a smaller --model-size, or give "
                "--set model.gradient_checkpointing=true."
            )
        self.parts *= 2
        if self.accelerator.is_main_process:
            print(
                f"Out of memory: from here on each batch is cut into {self.parts} and accumulated; the effective batch "
                f"stays the same. --batch-size {max(1, most // 2)} with twice the --grad-accum does so from the start.",
                flush=True,
            )

    def _cannot_repeat(self, pieces: list[Batch]) -> str:
        most = max(len(piece.ids) for piece in pieces)
        return (
            f"Out of memory on rank {self.accelerator.process_index}, in the middle of an exchange with the other "
            f"ranks, where a step cannot be taken again. Start again with --batch-size {max(1, most // 2)} and twice "
            "the --grad-accum: the run goes on from its newest checkpoint with the same effective batch."
        )


def _size(piece: Batch) -> tuple[int, int]:
    rows, frames = piece.tensors["mel"].shape[:2]
    return rows * frames, rows * frames * piece.tensors["input_ids"].shape[1]
