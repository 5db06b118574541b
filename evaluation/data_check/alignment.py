"""How well a trained model's aligner finds each text in its recording: high where they say different things."""

import itertools
from dataclasses import replace

import torch

from data_pipeline.batching.collate import Collator
from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.plan import PlannedBatch
from data_pipeline.utterance import Utterance
from evaluation.data_check.rows import Row
from evaluation.data_check.survey import Survey, Surveyor
from inference.pretrained import load
from modeling.losses import alignment_of_each

BATCH_SIZE = 8


def score_alignment(surveyor: Surveyor, survey: Survey, where: str, device: str) -> None:
    """Gives every decoded row the alignment loss of the model `where`, in nats per decoder step.

    Raises UserError where the model cannot be had.
    """
    model, _ = load(where, device)
    collate = Collator(surveyor.make)
    rows = [row for row in survey.used() if row.wave]
    read = surveyor.again(rows, "Aligning")
    while pairs := list(itertools.islice(read, BATCH_SIZE)):
        _score(model, collate, pairs)


def _score(model, collate: Collator, pairs: list[tuple[Row, Utterance]]) -> None:
    # Of no known speaker, each is heard beside its own spectrum, and its score is not that of what it is next to.
    alone = tuple(replace(utterance, speaker=None) for _, utterance in pairs)
    planned = PlannedBatch(alone, Cursor(), True, False, (0,))
    batch = collate.__getitems__(planned)
    rows = [row for row, _ in pairs]
    if batch.real:
        tensors = {name: tensor.to(model.device) for name, tensor in batch.tensors.items()}
        with torch.inference_mode():
            scores = alignment_of_each(model(**tensors), tensors, model.config.frames_per_step)
        rest = iter(rows)  # what is left of the batch is in its order, and ids can repeat
        for name, score in zip(batch.ids, scores.tolist(), strict=True):
            next(row for row in rest if row.id == name).score = score
    for row in rows:
        if row.score is None:  # which only its mel tells
            row.broken = ("unreadable", batch.broken[row.id])
