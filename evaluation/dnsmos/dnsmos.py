"""How clean speech sounds, by a model of listeners' opinions. Loads offline: evaluate.load("evaluation/dnsmos")."""

import datasets
import evaluate
import numpy as np
from speechmos import dnsmos

from evaluation.alignment import resampled

DESCRIPTION = """Mean opinion scores, 1 (bad) to 5 (excellent), that DNSMOS predicts without a reference (Reddy et al.
2022), its models inside the package speechmos: overall, of the speech, of the background, and overall as asked in
P.808 (Reddy et al. 2021). It was made for noise suppressors: it hears noise well, and the faults of a vocoder barely.
A wave shorter than 9 s is repeated, as its authors do."""

INPUTS = """predictions: list of waves (float, in [-1, 1]); sample_rate_hz: int. Returns the means {"overall": float,
"speech": float, "background": float, "p808": float}."""

CITATION = """@inproceedings{reddy2022dnsmos,
  author = {Reddy, Chandan K A and Gopal, Vishak and Cutler, Ross},
  title = {DNSMOS P.835: A non-intrusive perceptual objective speech quality metric to evaluate noise suppressors},
  booktitle = {ICASSP}, pages = {886--890}, year = {2022}
}"""

RATE_HZ = 16_000
NAMES = {"overall": "ovrl_mos", "speech": "sig_mos", "background": "bak_mos", "p808": "p808_mos"}


class DNSMOS(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        wave = datasets.Sequence(datasets.Value("float32"))
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": wave}),
        )

    def _compute(self, predictions, sample_rate_hz: int) -> dict[str, float]:
        # A resampled peak can pass 1, which speechmos refuses.
        waves = [wave / max(1.0, np.abs(wave).max()) for wave in resampled(predictions, sample_rate_hz, RATE_HZ)]
        scores = [dnsmos.run(wave, sr=RATE_HZ) for wave in waves]
        return {name: float(np.mean([score[theirs] for score in scores])) for name, theirs in NAMES.items()}
