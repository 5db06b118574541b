"""Errors of pitch and voicing between recordings of a sentence. Loads offline: evaluate.load("evaluation/f0")."""

import datasets
import evaluate
import librosa
import numpy as np

from evaluation.alignment import AUDIO, mel_cepstra, path_between, resampled

DESCRIPTION = """Fundamental frequency by probabilistic YIN (Mauch and Dixon 2014, librosa.pyin, 65 to 600 Hz in steps
of 10 cents), on frames paired by dynamic time warping of mel-cepstra. f0_rmse_cents: root mean square of
1200 * log2(f / f') where both frames are voiced (100 cents are a semitone; nan where no pair is). voicing_error: share
of the pairs of which one frame is voiced and the other is not (Nakatani et al. 2008). Both over all pairs of all
sentences; 0 is identical."""

INPUTS = """predictions, references: lists of waves (float, in [-1, 1]), as many; sample_rate_hz: int, of both.
Returns {"f0_rmse_cents": float, "voicing_error": float}."""

CITATION = """@inproceedings{mauch2014pyin,
  author = {Mauch, Matthias and Dixon, Simon},
  title = {pYIN: A fundamental frequency estimator using probabilistic threshold distributions},
  booktitle = {ICASSP}, pages = {659--663}, year = {2014}
}
@article{nakatani2008,
  author = {Nakatani, Tomohiro and Amano, Shigeaki and Irino, Toshio and Ishizuka, Kentaro and Kondo, Tadahisa},
  title = {A method for fundamental frequency estimation and voicing decision},
  journal = {Speech Communication}, volume = {50}, number = {3}, pages = {203--214}, year = {2008}
}"""

LOWEST_HZ, HIGHEST_HZ = 65.0, 600.0  # men's low voices to children's high ones


class F0(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        wave = datasets.Sequence(datasets.Value("float32"))
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": wave, "references": wave}),
        )

    def _compute(self, predictions, references, sample_rate_hz: int) -> dict[str, float]:
        cents, differs = [], []
        waves = (resampled(side, sample_rate_hz, AUDIO.sample_rate_hz) for side in (predictions, references))
        for pair in zip(*waves, strict=True):
            path_K2 = path_between(*(mel_cepstra(wave) for wave in pair))
            one_K, other_K = (pitch_hz(wave)[path_K2[:, side]] for side, wave in enumerate(pair))
            both_K = ~np.isnan(one_K) & ~np.isnan(other_K)
            cents.append(1200 * np.log2(one_K[both_K] / other_K[both_K]))
            differs.append(np.isnan(one_K) != np.isnan(other_K))
        cents = np.concatenate(cents)
        rmse = float(np.sqrt(np.square(cents).mean())) if len(cents) else float("nan")
        return {"f0_rmse_cents": rmse, "voicing_error": float(np.concatenate(differs).mean())}


def pitch_hz(wave_N: np.ndarray) -> np.ndarray:
    """F0 in Hz at each mel frame [T], nan where it is unvoiced."""
    # pyin's frames lie at multiples of its hop, and a mel frame's middle half a hop of AUDIO after its beginning.
    f0, _, _ = librosa.pyin(wave_N, fmin=LOWEST_HZ, fmax=HIGHEST_HZ, sr=AUDIO.sample_rate_hz, hop_length=AUDIO.hop // 2)
    return f0[1::2][: len(wave_N) // AUDIO.hop]
