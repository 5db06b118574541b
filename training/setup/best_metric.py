"""Which metric says what the best checkpoint is: the error rate of free speech where it can be heard, else the mel."""

import importlib.util
import math

from data_pipeline.errors import UserError
from training.config.fields import Layer, RunConfig

JUDGES = ("moonshine_voice", "rapidfuzz", "distillmos", "webrtcvad")  # in the extra `eval`
FEWEST_SENTENCES = 10  # fewer make an error rate that is mostly chance
STANDARD_ERROR = "_standard_error"  # after a metric's name: how far chance moves it


def can_recognize() -> bool:
    """Whether the extra `eval` is installed."""
    return all(importlib.util.find_spec(name) for name in JUDGES)


def best_metric_layer(config: RunConfig) -> Layer:
    """What "auto" comes to, as far as it is known before the validation data is read (callbacks.default settles it)."""
    if not config.log.quality_sentences:
        return {"train.best_metric": ("eval_mel", "log.quality_sentences is 0, so no speech is judged")}
    if not can_recognize():
        return {"train.best_metric": ("eval_mel", 'to judge speech instead: pip install -e ".[eval]"')}
    reason = f"quality_cer, with {FEWEST_SENTENCES} English validation sentences or more; else eval_mel"
    return {"train.best_metric": ("auto", reason)}


def check_best_metric(config: RunConfig, reason: str) -> None:
    """Raises UserError where quality_cer is asked for and cannot be had."""
    if config.train.best_metric != "quality_cer":
        return
    if not can_recognize():
        raise UserError(
            f"train.best_metric is quality_cer ({reason}), which needs a speech recognizer that is not installed: run "
            'pip install -e ".[eval]", or give --set train.best_metric=eval_mel.'
        )
    if config.log.quality_sentences < FEWEST_SENTENCES:
        raise UserError(
            f"train.best_metric is quality_cer ({reason}) and log.quality_sentences is {config.log.quality_sentences}; "
            f"expected {FEWEST_SENTENCES} or more to choose a checkpoint by."
        )


def is_best(metric: float, lowest: float | None, standard_error: float) -> bool:
    """Whether an evaluation takes the place of the best one: the latest within a standard error of the lowest does.

    A dozen sentences can be lucky, and what was trained longer is the safer guess; the one-standard-error rule of
    Breiman et al. 1984, section 3.4.3. Without an error the lowest is the best; of equals, the later.
    What is no number is never the best.
    """
    return math.isfinite(metric) and (lowest is None or metric <= lowest + standard_error)
