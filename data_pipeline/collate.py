"""Features of several utterances to padded tensors.

Shapes: B utterances, S text tokens, T mel frames, R reference frames, C mel channels.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from data_pipeline.audio import speech_spectrum
from data_pipeline.errors import UserError
from data_pipeline.features import TOKEN_MULTIPLE, FeatureMaker, Features, rounded_up
from data_pipeline.plan import PlannedBatch
from data_pipeline.utterance import Utterance

REFERENCE_S = (1.0, 3.0)  # seconds of a reference clip: short, so that it tells who speaks rather than what


@dataclass
class Batch:
    """One rank's micro-batch. `tensors` are the arguments of the model's forward pass.

    `features` are what was newly decoded, for the loader's cache; `broken` says which utterances could not be used.
    An empty micro-batch (`real` is False) holds one silent utterance, whose loss is to be multiplied by zero: every
    rank has to take part in the backward pass.
    """

    tensors: dict[str, Tensor]
    ids: list[str]
    voices: list[str]  # speaker and language of each, as the names under which a checkpoint keeps their voices
    planned: PlannedBatch
    real: bool = True
    broken: dict[str, str] = field(default_factory=dict)
    features: list[Features] = field(default_factory=list)

    def pin_memory(self) -> "Batch":
        """What DataLoader calls for faster copies to a GPU."""
        self.tensors = {name: tensor.pin_memory() for name, tensor in self.tensors.items()}
        return self

    @property
    def padded_share(self) -> float:
        """Share of mel frames that are padding."""
        lengths = self.tensors["mel_lengths"]
        return 1.0 - float(lengths.sum()) / (len(lengths) * self.tensors["mel"].shape[1])


def pad(rows: list[np.ndarray], value: float, multiple: int = 1) -> Tensor:
    """Arrays [L, ...] of different lengths to one tensor [B, longest L rounded up, ...]."""
    shape = (len(rows), rounded_up(max(len(row) for row in rows), multiple), *rows[0].shape[1:])
    padded = np.full(shape, value, dtype=rows[0].dtype)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return torch.from_numpy(padded)


def of_the_speaker(row: Features, rows: list[Features]) -> list[Features]:
    """The others of the batch in the same voice, else the row itself: what tells who speaks it."""
    same = [other for other in rows if other.speaker == row.speaker is not None and other.shift == row.shift]
    return [other for other in same if other is not row] or [row]


def lengths(rows: list[np.ndarray]) -> Tensor:
    return torch.tensor([len(row) for row in rows], dtype=torch.long)


class Collator:
    """A map-style dataset whose "indices" are planned batches, so that torch's DataLoader works in processes."""

    def __init__(self, make: FeatureMaker):
        self.make = make

    def __getitems__(self, planned: PlannedBatch) -> Batch:
        """Decode what is not decoded yet, skip what is broken, pad."""
        rows, fresh, broken = [], [], {}
        for entry in planned.entries:
            try:
                row = self.make(entry) if isinstance(entry, Utterance) else entry
            except UserError as error:
                broken[entry.id] = str(error)
                continue
            rows.append(row)
            fresh.extend([row] if isinstance(entry, Utterance) else [])
        # The recordings have done their work: only the place in the plan travels back.
        planned = replace(planned, entries=())
        real = bool(rows)
        rows = rows or [self._silence()]
        tensors = self._tensors(rows, planned.seed)
        return Batch(tensors, [row.id for row in rows], [row.voice for row in rows], planned, real, broken, fresh)

    def _tensors(self, rows: list[Features], seed: tuple[int, ...]) -> dict[str, Tensor]:
        floor = float(np.log(self.make.audio.log_floor))
        kin = [of_the_speaker(row, rows) for row in rows]
        references = self._references(kin, np.random.default_rng(seed))
        heard = [torch.from_numpy(np.concatenate([one.mel_TC for one in others])) for others in kin]
        mels, tokens = [row.mel_TC for row in rows], [row.tokens_S for row in rows]
        return {
            "input_ids": pad(tokens, 0, TOKEN_MULTIPLE),
            "token_lengths": lengths(tokens),
            "mel": pad(mels, floor),
            "mel_lengths": lengths(mels),
            "reference_mel": pad(references, floor),
            "reference_lengths": lengths(references),
            "reference_spectrum": torch.stack([speech_spectrum(mel_TC) for mel_TC in heard]),
        }

    def _references(self, kin: list[list[Features]], draw: np.random.Generator) -> list[np.ndarray]:
        """For each utterance a piece of one of its `of_the_speaker`."""
        low, high = (int(seconds * self.make.audio.frames_per_s) for seconds in REFERENCE_S)
        references = []
        for others in kin:
            clip = others[draw.integers(len(others))].mel_TC
            size = min(len(clip), int(draw.integers(low, high + 1)))
            start = int(draw.integers(len(clip) - size + 1))
            references.append(clip[start : start + size])
        return references

    def _silence(self) -> Features:
        floor = np.log(self.make.audio.log_floor)
        mel = np.full((2 * self.make.frames_per_step, self.make.audio.n_mels), floor, dtype=np.float32)
        return Features("", np.ones(2, dtype=np.int64), mel, None, None)
