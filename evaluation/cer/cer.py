"""Character error rate of a corpus. Loads offline: evaluate.load("evaluation/cer")."""

import datasets
import evaluate
import numpy as np
from rapidfuzz.distance import Levenshtein

DESCRIPTION = """Levenshtein edits between the characters of predictions and references, over the number of
characters in the references, both summed over the corpus. 0 is perfect; more than 1 is possible. Texts count
as they come: normalize both sides first (evaluation.text_metrics.normalize_for_scoring). standard_error: what another
choice of as many texts would change it by, as of any ratio of two sums (Cochran 1977, section 2.11); 0 of one text."""

INPUTS = """predictions: list of str. references: list of str, not all empty. Returns {"cer": float,
"standard_error": float}."""

CITATION = """@article{levenshtein1966,
  author = {Levenshtein, Vladimir I.},
  title = {Binary codes capable of correcting deletions, insertions, and reversals},
  journal = {Soviet Physics Doklady}, volume = {10}, number = {8}, pages = {707--710}, year = {1966}
}"""


class CER(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        if not any(references):
            raise ValueError("cer: the references are all empty, so there is nothing to divide the edits by")
        edits = np.array([Levenshtein.distance(h, s) for h, s in zip(predictions, references, strict=True)])
        characters = np.array([len(said) for said in references])
        rate, number = edits.sum() / characters.sum(), len(references)
        variance = ((edits - rate * characters) ** 2).sum() * number / max(1, number - 1)
        return {"cer": float(rate), "standard_error": float(np.sqrt(variance) / characters.sum())}
