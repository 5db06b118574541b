"""Word error rate of a corpus. Loads offline: evaluate.load("evaluation/wer")."""

import datasets
import evaluate
from rapidfuzz.distance import Levenshtein

DESCRIPTION = """Levenshtein edits between the words of predictions and references, over the number of
words in the references, both summed over the corpus. 0 is perfect; more than 1 is possible. Texts count
as they come: normalize both sides first (evaluation.text_metrics.normalize_for_scoring)."""

INPUTS = """predictions: list of str. references: list of str, not all empty. Returns {"wer": float}."""

CITATION = """@article{levenshtein1966,
  author = {Levenshtein, Vladimir I.},
  title = {Binary codes capable of correcting deletions, insertions, and reversals},
  journal = {Soviet Physics Doklady}, volume = {10}, number = {8}, pages = {707--710}, year = {1966}
}"""


class WER(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        text = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": text, "references": text}),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        said = [reference.split() for reference in references]
        if not any(said):
            raise ValueError("wer: the references are all empty, so there is nothing to divide the edits by")
        heard = [prediction.split() for prediction in predictions]
        edits = sum(Levenshtein.distance(h, s) for h, s in zip(heard, said, strict=True))
        return {"wer": edits / sum(map(len, said))}
