"""How long speech is against what was expected. Loads offline: evaluate.load("evaluation/duration_ratio")."""

import datasets
import evaluate

DESCRIPTION = """Seconds of speech over the seconds expected, both summed over the corpus: 1 is the expected pace, more
is slower. A mean can hide utterances that end early behind others that run on: see the metric stop_errors."""

INPUTS = """predictions, references: lists of float, as many: the seconds spoken and those expected (the recording's,
its silent ends trimmed, or evaluation.durations.Pace). Returns {"duration_ratio": float}."""


class DurationRatio(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        seconds = datasets.Value("float32")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description=INPUTS,
            features=datasets.Features({"predictions": seconds, "references": seconds}),
        )

    def _compute(self, predictions, references) -> dict[str, float]:
        if not sum(references) > 0:
            raise ValueError("duration_ratio: no seconds are expected, so there is nothing to divide by")
        return {"duration_ratio": sum(predictions) / sum(references)}
