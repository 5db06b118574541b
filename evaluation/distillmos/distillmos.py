"""How natural speech sounds, as a model of listeners has it. Loads offline: evaluate.load("evaluation/distillmos")."""

from collections.abc import Sequence
from functools import cache

import datasets
import distillmos
import evaluate
import numpy as np
import torch
from distillmos.sqa import DEFAULT_WEIGHTS_CHKPT

from evaluation.alignment import resampled

DESCRIPTION = """Mean opinion scores, 1 (bad) to 5 (excellent), that DistillMOS predicts without a reference (Stahl and
Gamper 2025), its weights inside the package distillmos. It was distilled from a judge of overall quality on XLS-R
features, and tells vocoded and oversmoothed speech from recordings, which DNSMOS hardly does. Of a wave longer than
7.68 s the mean over overlapping windows of that length; a shorter one is padded with silence."""

INPUTS = """predictions: list of waves (float); sample_rate_hz: int. Returns {"distillmos": float, the mean, "each": the
scores}."""

CITATION = """@inproceedings{stahl2025distillmos,
  author = {Stahl, Benjamin and Gamper, Hannes},
  title = {Distillation and Pruning for Scalable Self-Supervised Representation-Based Speech Quality Assessment},
  booktitle = {ICASSP}, year = {2025}
}"""

RATE_HZ = 16_000


@cache
def judge() -> torch.nn.Module:
    # By hand: the package prints where it loaded the weights from, among the lines of a training run.
    model = distillmos.ConvTransformerSQAModel(load_weights=False)
    model.load_state_dict(torch.load(DEFAULT_WEIGHTS_CHKPT, map_location="cpu", weights_only=True)["model"])
    return model.eval()


@torch.inference_mode()
def opinions(waves: Sequence[Sequence[float]], sample_rate_hz: int) -> list[float]:
    """The score of each wave [N]; takes 0.4 s of a core for up to 7.68 s of speech.

    Raises ValueError for a wave that is empty or silent, with its place.
    """
    return [float(judge()(torch.from_numpy(wave_N)[None])) for wave_N in resampled(waves, sample_rate_hz, RATE_HZ)]


class DistillMOS(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        wave = datasets.Sequence(datasets.Value("float32"))
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": wave}),
        )

    def _compute(self, predictions, sample_rate_hz: int) -> dict[str, float | list[float]]:
        each = opinions(predictions, sample_rate_hz)
        return {"distillmos": float(np.mean(each)), "each": each}
