"""The voices of speakers who are in the training data alone, so that a model can be asked for each by name.

Shapes: T mel frames, C mel channels.
"""

from itertools import islice

import torch
from accelerate import Accelerator
from torch import Tensor

from data_pipeline.batching.loader import Loader
from data_pipeline.errors import UserError
from inference.generation import encode_voice, evaluating
from training.distributed.collectives import as_main_says
from training.loop.eval_weights import EvalWeights
from training.loop.validation import MOST_VOICES

CLIPS = 2  # of each voice
# Utterances that are looked at for them; those of the Hub are downloaded to be looked at.
LOOKED_AT, LOOKED_AT_ON_HUB = 10_000, 1_000


class TrainingVoices:
    """Encodes the first CLIPS recordings of each voice that validation has not heard; they are decoded once a run."""

    def __init__(self, accelerator: Accelerator, eval_weights: EvalWeights, loader: Loader):
        self.accelerator, self.eval_weights, self.loader = accelerator, eval_weights, loader
        self.clips: dict[str, list[Tensor]] | None = None  # name -> log-mels [T, C] of the main rank

    def beside(self, heard: dict[str, list[float]]) -> dict[str, list[float]]:
        """Voices by name, of the model that would ship, on the main rank; no more than MOST_VOICES with `heard`.

        Call it on every rank.
        """
        if self.clips is None:
            self.clips = self._found(set(heard)) if self.accelerator.is_main_process else {}
        if not as_main_says(self.accelerator, len(self.clips)):
            return {}
        with self.eval_weights.whole() as model:
            if model is None:
                return {}
            with evaluating(model):
                return {name: encode_voice(model, *mels).tolist() for name, mels in self.clips.items()}

    def _found(self, heard: set[str]) -> dict[str, list[Tensor]]:
        make, is_of_hub = self.loader.collator.make, self.loader.plan.source.kind == "hub"
        most, found = MOST_VOICES - len(heard), {}
        rows = self.loader.utterances("looking for its speakers")
        for utterance in islice(rows, LOOKED_AT_ON_HUB if is_of_hub else LOOKED_AT):
            name = make.voice_of(utterance)
            if name in heard or len(found.get(name, ())) == CLIPS or (name not in found and len(found) >= most):
                continue
            try:
                mel_TC = make(utterance).mel_TC
            except UserError:
                continue  # training counts and lists it
            found.setdefault(name, []).append(torch.from_numpy(mel_TC))
        return found
