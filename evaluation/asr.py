"""Speech recognisers that judge what our voices say: callables (wave, sample rate) -> text.

A recogniser here is independent of our training: it learns nothing from our corpus and shares no weights with
our models.
"""

import importlib.util
from collections.abc import Callable

import numpy as np
import soxr
import torch

from data_pipeline.errors import UserError
from data_pipeline.languages import language_code

Recogniser = Callable[["torch.Tensor | np.ndarray", int], str]

MOONSHINE_RATE_HZ = 16_000


def load_recogniser(name: str = "moonshine", language: str = "en") -> Recogniser:
    """A callable (wave float32 [N] in [-1, 1], sample_rate_hz) -> the text heard, "" where nothing was.

    The text is as the recogniser writes it; evaluation.text_metrics normalises it before scoring.
    Raises UserError for an unknown name, a language the recogniser does not know, or a package not installed.
    """
    if name not in RECOGNISERS:
        raise UserError(f"unknown recogniser {name!r}: expected one of {', '.join(sorted(RECOGNISERS))}")
    return RECOGNISERS[name](language)


def moonshine(language: str) -> Recogniser:
    """Moonshine tiny (Jeffries et al. 2024), English only; its 44 MB come inside moonshine-voice."""
    if language_code(language) != "en":
        raise UserError(
            f"the recogniser 'moonshine' understands English only, and was asked for language {language!r}: "
            "score English sentences with it, or leave error rates out for this language"
        )
    if importlib.util.find_spec("moonshine_voice") is None:
        raise UserError(
            "the recogniser 'moonshine' needs the package moonshine-voice, which is not installed: "
            'run pip install -e ".[eval]"'
        )
    from moonshine_voice import ModelArch, Transcriber
    from moonshine_voice.utils import get_model_path

    transcriber = Transcriber(model_path=get_model_path("tiny-en"), model_arch=ModelArch.TINY)

    def transcribe(wave_N, sample_rate_hz: int) -> str:
        wave_N = torch.as_tensor(wave_N).detach().float().cpu().numpy()
        samples_N = soxr.resample(wave_N, sample_rate_hz, MOONSHINE_RATE_HZ)
        transcript = transcriber.transcribe_without_streaming(samples_N.tolist(), MOONSHINE_RATE_HZ)
        return " ".join(line.text.strip() for line in transcript.lines).strip()

    return transcribe


RECOGNISERS: dict[str, Callable[[str], Recogniser]] = {"moonshine": moonshine}
