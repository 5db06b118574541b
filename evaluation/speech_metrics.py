"""Metrics that installed packages add (group goya.metrics): each is run wherever a run judges its speech.

The figure is logged as quality/NAME, and stands on the model card.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from data_pipeline import plugins
from data_pipeline.errors import warn
from data_pipeline.utterance import Utterance

# Figures of an evaluation that speaks; no package's metric can have their names.
FIGURES = dict.fromkeys(
    "duration_ratio ended_early ended_late never cer cer_standard_error similarity distillmos seconds".split()
)


@dataclass(frozen=True)
class Speech:
    """Held-out sentences as a model speaks them; of equal number and in the same order.

    sentences: what was to be said, with its language and recording (recordings.audio.decode_audio reads that).
    waves: what was said, float32 [N] in [-1, 1] each.
    sample_rate_hz: of the waves.
    """

    sentences: Sequence[Utterance]
    waves: Sequence[np.ndarray]
    sample_rate_hz: int


@dataclass(frozen=True)
class SpeechMetric:
    """A figure of speech.

    measure: called by the main process. Raises ValueError for speech that has no such figure, such as silence.
    description: what it is, in which unit or range, for the card.
    shown: how a value is formatted there.
    """

    measure: Callable[[Speech], float]
    description: str
    shown: str = "{:.3f}"


def added_metrics() -> dict[str, SpeechMetric]:
    """By name. Raises UserError for one that cannot be had (data_pipeline.plugins)."""
    return plugins.added(plugins.METRICS, FIGURES, SpeechMetric)


def measured(metrics: dict[str, SpeechMetric], speech: Speech) -> dict[str, float]:
    """Name -> figure; without those that speech has none of, and those that fail, of which a warning tells."""
    figures = {}
    for name, metric in metrics.items():
        try:
            figures[name] = float(metric.measure(speech))
        except ValueError:
            continue
        except Exception as error:  # a figure that fails is no reason to end a run of days
            package = plugins.package(plugins.METRICS, name)
            warn(f"The metric {name!r} of the package {package} failed and is left out ({plugins.reason(error)}).")
    return figures
