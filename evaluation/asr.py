"""Speech recognizers that judge what our voices say: callables (wave, sample rate) -> text.

A recognizer here is independent of our training: it learns nothing from our corpus and shares no weights with
our models.
"""

import importlib.util
import os
from collections.abc import Callable

import numpy as np
import soxr
import torch

from data_pipeline.errors import UserError
from data_pipeline.languages import language_code

Recognizer = Callable[["torch.Tensor | np.ndarray", int], str]

MOONSHINE_RATE_HZ = 16_000
# It cuts speech into pieces where its detector of voices says so, by chance: the same recordings with 0, 0.2 and 0.5 s
# of silence around them have 4.6, 9.1 and 3.6 % CER, without the detector 3.5, 3.3 and 3.6 %. And it makes "2." of a
# sentence now and then whose first word comes at once (benchmarks/LOG.md, 2026-11-30). Where it cuts without a pause,
# it hears the end of a piece again in the next (its own limit is about 15 s).
SILENCE_S = 0.2  # around what it hears
MOONSHINE_OPTIONS = {"vad_threshold": "0", "vad_max_segment_duration": "60"}
FAINTEST = 1e-3  # -60 dB of full scale: without its detector, it writes words for what nobody hears


def load_recognizer(name: str = "moonshine", language: str = "en") -> Recognizer:
    """A callable (wave float32 [N] in [-1, 1], sample_rate_hz) -> the text heard, "" where nothing was.

    name: one of RECOGNIZERS, or the folder or Hub id of a transformers model for automatic speech recognition.
    The text is as the recognizer writes it; evaluation.text_metrics normalizes it before scoring.
    Raises UserError for an unknown name, a language the recognizer does not know, or a package not installed.
    """
    if name in RECOGNIZERS:
        return RECOGNIZERS[name](language)
    if "/" in name or os.path.isdir(name):
        return transformers_model(name, language)
    raise UserError(
        f"unknown recognizer {name!r}: expected one of {', '.join(sorted(RECOGNIZERS))}, or the folder or Hub id "
        "(owner/name) of a transformers model that recognizes speech"
    )


def moonshine(language: str) -> Recognizer:
    """Moonshine tiny (Jeffries et al. 2024), English only; its 44 MB come inside moonshine-voice."""
    if language_code(language) != "en":
        raise UserError(
            f"the recognizer 'moonshine' understands English only, and was asked for language {language!r}: "
            "score English sentences with it, or leave error rates out for this language"
        )
    if importlib.util.find_spec("moonshine_voice") is None:
        raise UserError(
            "the recognizer 'moonshine' needs the package moonshine-voice, which is not installed: "
            'run pip install -e ".[eval]"'
        )
    from moonshine_voice import ModelArch, Transcriber
    from moonshine_voice.utils import get_model_path

    transcriber = Transcriber(get_model_path("tiny-en"), ModelArch.TINY, options=MOONSHINE_OPTIONS)

    def transcribe(wave_N, sample_rate_hz: int) -> str:
        samples_N = soxr.resample(as_samples(wave_N), sample_rate_hz, MOONSHINE_RATE_HZ)
        if np.abs(samples_N).max(initial=0.0) < FAINTEST:
            return ""
        padded_N = np.pad(samples_N, round(SILENCE_S * MOONSHINE_RATE_HZ))
        transcript = transcriber.transcribe_without_streaming(padded_N.tolist(), MOONSHINE_RATE_HZ)
        return " ".join(line.text.strip() for line in transcript.lines).strip()

    return transcribe


def transformers_model(name: str, language: str) -> Recognizer:
    """Any model that transformers' pipeline "automatic-speech-recognition" takes, on the CPU.

    Models of many languages, such as Whisper, are told which one they hear; the others are taken at their word.
    """
    from transformers.pipelines import pipeline

    try:
        listener = pipeline("automatic-speech-recognition", model=name, device="cpu")
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{name} cannot be loaded as a recognizer ({error}); expected the folder or Hub id of a transformers "
            "model for automatic speech recognition, with its processor"
        ) from error
    rate_hz = listener.feature_extractor.sampling_rate
    options = {}
    known = getattr(getattr(listener.model, "generation_config", None), "lang_to_id", None)
    if known:
        options["generate_kwargs"] = {"language": known_language(language, known, name), "task": "transcribe"}

    def transcribe(wave_N, sample_rate_hz: int) -> str:
        samples_N = soxr.resample(as_samples(wave_N), sample_rate_hz, rate_hz)
        return listener({"raw": samples_N, "sampling_rate": rate_hz}, **options)["text"].strip()

    return transcribe


def known_language(language: str, known: dict[str, int], name: str) -> str:
    """The language's code, where the model of this name knows its token; else UserError."""
    code = language_code(language)
    if f"<|{code}|>" not in known:
        raise UserError(f"the recognizer {name} does not know the language {language!r}; give another one")
    return code


def as_samples(wave_N) -> np.ndarray:
    return torch.as_tensor(wave_N).detach().float().cpu().numpy()


RECOGNIZERS: dict[str, Callable[[str], Recognizer]] = {"moonshine": moonshine}
