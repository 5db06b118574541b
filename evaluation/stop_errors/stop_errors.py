"""Which utterances end too early, too late, or not at all. Loads offline: evaluate.load("evaluation/stop_errors")."""

import datasets
import evaluate

DESCRIPTION = """Shares of utterances. never: a token ran into the model's limit (max_token_steps), so that only the
limit ended it. Of the others, ended_early: shorter than 0.7 of the expected duration; ended_late: longer than 1.4.

The bounds leave people alone. Of 99 pairs of recordings of one sentence in the demo corpus 98 % lie between 0.79 and
1.44 of each other; of its 1362 recordings 0 to 0.3 % (by language) are below 0.7, and 0.2 to 1.0 % above 1.4, of what
the pace of their voice lets expect (evaluation.durations.Pace, phonemes; by characters 0.2 to 0.8 and 1.0 to 2.8 %)."""

INPUTS = """predictions, references: lists of float, as many: the seconds spoken and those expected (the recording's,
its silent ends trimmed, or evaluation.durations.Pace); ran_into_limit: list of bool, as many. Returns
{"ended_early": float, "ended_late": float, "never": float}."""

EARLY, LATE = 0.7, 1.4


class StopErrors(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        seconds = datasets.Value("float32")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description=INPUTS,
            features=datasets.Features(
                {"predictions": seconds, "references": seconds, "ran_into_limit": datasets.Value("bool")}
            ),
        )

    def _compute(self, predictions, references, ran_into_limit) -> dict[str, float]:
        ended = {"ended_early": 0, "ended_late": 0, "never": 0}
        for spoken_s, expected_s, limited in zip(predictions, references, ran_into_limit, strict=True):
            ended["never"] += limited
            ended["ended_early"] += not limited and spoken_s < EARLY * expected_s
            ended["ended_late"] += not limited and spoken_s > LATE * expected_s
        return {name: count / len(predictions) for name, count in ended.items()}
