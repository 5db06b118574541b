"""Mel cepstral distortion between recordings of the same sentences. Loads offline: evaluate.load("evaluation/mcd")."""

import datasets
import evaluate
import numpy as np

from evaluation.alignment import AUDIO, mel_cepstra, path_between, resampled

DESCRIPTION = """Mean over time of 10 / ln 10 * sqrt(2 * sum over d = 1..13 of (c_d - c'_d)^2), in dB, where the c_d are
mel-cepstral coefficients of a frame (Kubichek 1993, equation 1): the root mean square difference in dB, over mel
frequency, of two smoothed spectra, their levels left out. Frames are paired by dynamic time warping of the same
coefficients; the mean is over all pairs of all sentences. 0 is identical."""

INPUTS = """predictions, references: lists of waves (float, in [-1, 1]), as many; sample_rate_hz: int, of both.
Returns {"mcd_db": float}."""

CITATION = """@inproceedings{kubichek1993,
  author = {Kubichek, Robert F.},
  title = {Mel-cepstral distance measure for objective speech quality assessment},
  booktitle = {IEEE Pacific Rim Conference on Communications, Computers and Signal Processing}, volume = {1},
  pages = {125--128}, year = {1993}
}"""


class MCD(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        wave = datasets.Sequence(datasets.Value("float32"))
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": wave, "references": wave}),
        )

    def _compute(self, predictions, references, sample_rate_hz: int) -> dict[str, float]:
        found = []
        waves = (resampled(side, sample_rate_hz, AUDIO.sample_rate_hz) for side in (predictions, references))
        for pair in zip(*waves, strict=True):
            one_TD, other_TD = (mel_cepstra(wave) for wave in pair)
            one_K, other_K = path_between(one_TD, other_TD).T
            squares_K = np.square(one_TD[one_K] - other_TD[other_K]).sum(axis=1)
            found.append(10 / np.log(10) * np.sqrt(2 * squares_K))
        return {"mcd_db": float(np.concatenate(found).mean())}
