"""How long a text should take to say, and how long a model took."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_pipeline.recordings.audio import decode_audio, trim_silence
from data_pipeline.text.tokens import Vocabulary, normalize_text
from data_pipeline.utterance import Utterance
from evaluation.metrics import load_metric
from inference.synthesizer import Spoken


@dataclass(frozen=True)
class Pace:
    """What a voice's recordings let expect of a text without one: seconds of each utterance, and of each symbol.

    Symbols are what `vocabulary` reads: with phonemes, the letter w is as long as it sounds. Symbols over a rate alone
    do not do: it makes one word too short to be true, and half of the demo corpus late.
    """

    vocabulary: Vocabulary
    fixed_s: float
    symbol_s: float

    @classmethod
    def of(cls, vocabulary: Vocabulary, texts: Sequence[str], seconds: Sequence[float], language: str | None) -> "Pace":
        """The line through recordings (silent ends trimmed) with the least squares of relative errors."""
        lengths = np.array([symbols(vocabulary, text, language) for text in texts], dtype=float)
        seconds = np.asarray(seconds, dtype=float)
        rows = np.stack([np.ones_like(lengths), lengths], axis=1) / seconds[:, None]
        fixed_s, symbol_s = np.linalg.lstsq(rows, np.ones_like(seconds), rcond=None)[0]
        return cls(vocabulary, float(fixed_s), float(symbol_s))

    def seconds(self, text: str, language: str | None) -> float:
        return self.fixed_s + self.symbol_s * symbols(self.vocabulary, text, language)


def symbols(vocabulary: Vocabulary, text: str, language: str | None) -> int:
    return len(vocabulary.spoken(normalize_text(text, language), language))


def recorded_seconds(utterance: Utterance, sample_rate_hz: int) -> float:
    """Of its recording, the silent ends trimmed as in training. Raises BrokenAudio."""
    wave = decode_audio(utterance.audio, sample_rate_hz, name=utterance.id)
    return len(trim_silence(wave, sample_rate_hz)) / sample_rate_hz


def ran_into_limit(spoken: Spoken, model_config) -> bool:
    """Whether a token was left only because it had lasted for as long as the model lets it."""
    return bool((spoken.speech.durations_S >= model_config.max_token_steps).any())


def duration_figures(spoken: Sequence[Spoken], expected_s: Sequence[float], model_config, frames_per_s: float) -> dict:
    """duration_ratio, and the shares that ended_early, ended_late and never, of what a model spoke."""
    seconds = [len(one.speech.mel_TC) / frames_per_s for one in spoken]
    limited = [ran_into_limit(one, model_config) for one in spoken]
    ratio = load_metric("duration_ratio").compute(predictions=seconds, references=expected_s)
    errors = load_metric("stop_errors").compute(predictions=seconds, references=expected_s, ran_into_limit=limited)
    return ratio | errors
