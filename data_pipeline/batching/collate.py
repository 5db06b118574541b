"""Features of several utterances to padded tensors.

Shapes: B utterances, S text tokens, T mel frames, R reference frames, C mel channels.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from data_pipeline.batching.features import TOKEN_MULTIPLE, FeatureMaker, Features, rounded_up
from data_pipeline.batching.plan import PlannedBatch
from data_pipeline.errors import UserError
from data_pipeline.recordings.speech import others_spectra
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


def by_voice(rows: list[Features]) -> list[list[int]]:
    """The places of the rows in each voice of the batch; a row whose speaker is unknown is alone."""
    places: dict[object, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(place if row.speaker is None else (row.speaker, row.shift), []).append(place)
    return list(places.values())


def lengths(rows: list[np.ndarray]) -> Tensor:
    return torch.tensor([len(row) for row in rows], dtype=torch.long)


class Collator:
    """A map-style dataset whose "indices" are planned batches, so that torch's DataLoader works in processes.

    reference_s: seconds of the shortest and the longest reference clip.
    """

    def __init__(self, make: FeatureMaker, reference_s: tuple[float, float] = REFERENCE_S):
        self.make, self.reference_s = make, reference_s

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
        voices = by_voice(rows)
        references = self._references(rows, voices, np.random.default_rng(seed))
        spectra_BC = torch.empty(len(rows), self.make.audio.n_mels)
        for places in voices:
            spectra_BC[places] = others_spectra([torch.from_numpy(rows[place].mel_TC) for place in places])
        mels, tokens = [row.mel_TC for row in rows], [row.tokens_S for row in rows]
        return {
            "input_ids": pad(tokens, 0, TOKEN_MULTIPLE),
            "token_lengths": lengths(tokens),
            "mel": pad(mels, floor),
            "mel_lengths": lengths(mels),
            "reference_mel": pad(references, floor),
            "reference_lengths": lengths(references),
            "reference_spectrum": spectra_BC,
        }

    def _references(self, rows: list[Features], voices: list[list[int]], draw: np.random.Generator) -> list[np.ndarray]:
        """For each row a piece of another of its voice, else of its own."""
        low, high = (int(seconds * self.make.audio.frames_per_s) for seconds in self.reference_s)
        voice_of = {place: places for places in voices for place in places}
        references = []
        for place in range(len(rows)):
            others = [other for other in voice_of[place] if other != place] or [place]
            clip = rows[others[draw.integers(len(others))]].mel_TC
            size = min(len(clip), int(draw.integers(low, high + 1)))
            start = int(draw.integers(len(clip) - size + 1))
            references.append(clip[start : start + size])
        return references

    def _silence(self) -> Features:
        floor = np.log(self.make.audio.log_floor)
        mel = np.full((2 * self.make.frames_per_step, self.make.audio.n_mels), floor, dtype=np.float32)
        return Features("", np.ones(2, dtype=np.int64), mel, None, None)
