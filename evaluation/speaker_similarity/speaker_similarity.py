"""Whether two recordings are of the same voice. Loads offline: evaluate.load("evaluation/speaker_similarity")."""

import datasets
import evaluate
import numpy as np

from evaluation.alignment import resampled
from evaluation.speaker_encoder import RATE_HZ, load_encoder, speech_in

DESCRIPTION = """Mean cosine between the speaker embeddings of predictions and references, pair by pair. The encoder is
Resemblyzer's (generalized end-to-end loss, Wan et al. 2018), whose weights lie in assets/speaker_encoder; long silences
are cut first. 1 is identical. On the demo corpus two recordings of one voice are at 0.76 to 0.93, of two voices in two
languages at 0.54 to 0.77: compare within one language."""

INPUTS = """predictions, references: lists of waves (float, in [-1, 1]), as many, of any texts; sample_rate_hz: int, of
both. Returns {"speaker_similarity": float, "each": list of float}."""

CITATION = """@inproceedings{wan2018,
  author = {Wan, Li and Wang, Quan and Papir, Alan and Lopez Moreno, Ignacio},
  title = {Generalized end-to-end loss for speaker verification}, booktitle = {ICASSP}, pages = {4879--4883},
  year = {2018}
}"""


class SpeakerSimilarity(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        wave = datasets.Sequence(datasets.Value("float32"))
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": wave, "references": wave}),
        )

    def _compute(self, predictions, references, sample_rate_hz: int) -> dict:
        each = cosines(*(embedded(side, sample_rate_hz) for side in (predictions, references)))
        return {"speaker_similarity": float(each.mean()), "each": each.tolist()}


def embedded(waves, sample_rate_hz: int) -> np.ndarray:
    """The speaker embeddings [N, 256] of N waves, each of unit length, so that a product of two is their cosine."""
    return np.stack([load_encoder().embed(speech_in(wave)) for wave in resampled(waves, sample_rate_hz, RATE_HZ)])


def cosines(one_NE: np.ndarray, other_NE: np.ndarray) -> np.ndarray:
    """Pair by pair [N], of embeddings of unit length."""
    return (one_NE * other_NE).sum(axis=1)
