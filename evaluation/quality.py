"""How a checkpoint sounds, in numbers: the character error rate of held-out sentences spoken freely."""

import importlib.util
from collections.abc import Iterable

from data_pipeline.utterance import Utterance
from evaluation.asr import load_recogniser
from evaluation.speaking import choose_sentences, speak_utterances
from evaluation.text_metrics import character_error_rate

RECOGNISED = "en"  # the language of the recogniser in the extra `eval`


def can_recognise() -> bool:
    """Whether the extra `eval` is installed."""
    return all(importlib.util.find_spec(name) for name in ("moonshine_voice", "rapidfuzz"))


def speech_quality(model, processor, vocoder, utterances: Iterable[Utterance], most: int = 40) -> dict | None:
    """CER and what was heard of up to `most` held-out sentences in the recogniser's language; None without any."""
    chosen = choose_sentences(utterances, most, RECOGNISED)
    if not chosen:
        return None
    texts = [one.text for one in chosen]
    recognise = load_recogniser()
    spoken = speak_utterances(model, processor, chosen, vocoder)
    heard = [recognise(one.wave.cpu().numpy(), vocoder.sample_rate_hz) for one in spoken]
    return {
        "cer": character_error_rate(heard, texts),
        "sentences": len(texts),
        "heard": [{"id": one.id, "said": one.text, "heard": text} for one, text in zip(chosen, heard, strict=True)],
    }
