"""How a checkpoint sounds, in numbers: error rate and lengths of held-out sentences spoken freely."""

from collections.abc import Iterable

import numpy as np
from torch import Tensor

from data_pipeline.recordings.audio import BrokenAudio, decode_audio
from data_pipeline.utterance import Utterance
from evaluation.asr import Recognizer, load_recognizer
from evaluation.durations import duration_figures, recorded_seconds
from evaluation.speaking import choose_sentences, first_seconds, in_turn, speak_utterances
from evaluation.speech_metrics import Speech, added_metrics, measured
from evaluation.text_metrics import character_error_rate, error_rate
from inference.synthesizer import Spoken
from training.setup.best_metric import FEWEST_SENTENCES, can_recognize

RECOGNIZED = "en"  # the language of the recognizer in the extra `eval`
# Sentences that get a DistillMOS: each takes 0.4 s of a core.
WHILE_TRAINING, AT_THE_END = 6, 20


class SpeechJudge:
    """Always the same sentences, spoken with the same seed, so that figures along a run compare.

    In the recognizer's language where that is installed and there are enough of them; else in all languages in turn,
    and nobody listens. Sentences whose recording cannot be decoded are left out.

    Args:
        by_language: sentences to choose from (evaluation.speaking.sentences_by_language).
        most: how many are spoken.
    """

    def __init__(self, by_language: dict[str | None, list[Utterance]], most: int, vocoder):
        self.vocoder = vocoder
        heard = _with_seconds(by_language.get(RECOGNIZED, [])[:most], vocoder.sample_rate_hz)
        self.listens = can_recognize() and len(heard) >= FEWEST_SENTENCES
        self.recognized = len(heard)  # sentences in the recognizer's language
        chosen = heard if self.listens else _with_seconds(in_turn(by_language, most), vocoder.sample_rate_hz)
        self.sentences, self.expected_s = [one for one, _ in chosen], [seconds for _, seconds in chosen]
        self.added = added_metrics()
        self.recognize: Recognizer | None = None
        self.recorded_NE: np.ndarray | None = None  # the recordings' speaker embeddings

    def __call__(self, model, processor) -> dict[str, float]:
        """duration_ratio, ended_early, ended_late, never; where it listens cer, its error, similarity, distillmos; and
        what the metrics of installed packages give."""
        vocoder = first_seconds(self.vocoder) if self.listens or self.added else None
        spoken = speak_utterances(model, processor, self.sentences, vocoder)
        frames_per_s = self.vocoder.audio_config.frames_per_s
        figures = duration_figures(spoken, self.expected_s, model.config, frames_per_s)
        if self.listens:
            self.recognize = self.recognize or load_recognizer(language=RECOGNIZED)
            heard = _heard(self.recognize, spoken, self.vocoder)
            rate = error_rate("cer", heard, [one.text for one in self.sentences], RECOGNIZED)
            figures |= {"cer": rate["cer"], "cer_standard_error": rate["standard_error"]}
            waves = [one.wave for one in spoken]
            figures |= self._similarity(waves) | opinion(waves[:WHILE_TRAINING], self.vocoder.sample_rate_hz)
        if self.added:
            waves = [one.wave.cpu().numpy() for one in spoken]
            figures |= measured(self.added, Speech(self.sentences, waves, self.vocoder.sample_rate_hz))
        return figures

    def _similarity(self, waves: list[Tensor]) -> dict[str, float]:
        """Of the voices of waves [N] and recordings; nothing while a wave holds no speech that has a voice."""
        from evaluation.speaker_similarity.speaker_similarity import cosines, embedded  # of the extra `eval`

        rate_hz = self.vocoder.sample_rate_hz
        try:
            if self.recorded_NE is None:  # once: the recordings stay the same
                recorded = [decode_audio(one.audio, rate_hz, name=one.id) for one in self.sentences]
                self.recorded_NE = embedded(recorded, rate_hz)
            spoken_NE = embedded([wave.cpu().numpy() for wave in waves], rate_hz)
        except ValueError:  # as it says of silence
            return {}
        return {"similarity": float(cosines(spoken_NE, self.recorded_NE).mean())}


def speech_quality(model, processor, vocoder, utterances: Iterable[Utterance], most: int = 40) -> dict | None:
    """CER, DistillMOS and what was heard of up to `most` held-out sentences that are recognized; None without any."""
    chosen = choose_sentences(utterances, most, RECOGNIZED)
    if not chosen:
        return None
    texts = [one.text for one in chosen]
    spoken = speak_utterances(model, processor, chosen, vocoder)
    heard = _heard(load_recognizer(), spoken, vocoder)
    return opinion([one.wave for one in spoken[:AT_THE_END]], vocoder.sample_rate_hz) | {
        "cer": character_error_rate(heard, texts),
        "sentences": len(texts),
        "heard": [{"id": one.id, "said": one.text, "heard": text} for one, text in zip(chosen, heard, strict=True)],
    }


def opinion(waves: list[Tensor], sample_rate_hz: int) -> dict[str, float]:
    """distillmos, the mean of waves [N]; nothing while one of them is silent."""
    from evaluation.distillmos.distillmos import opinions  # of the extra `eval`

    try:
        return {"distillmos": float(np.mean(opinions([wave.cpu().numpy() for wave in waves], sample_rate_hz)))}
    except ValueError:  # as it says of silence
        return {}


def _heard(recognize: Recognizer, spoken: list[Spoken], vocoder) -> list[str]:
    return [recognize(one.wave, vocoder.sample_rate_hz) for one in spoken]


def _with_seconds(sentences: list[Utterance], sample_rate_hz: int) -> list[tuple[Utterance, float]]:
    found = []
    for one in sentences:
        try:
            found.append((one, recorded_seconds(one, sample_rate_hz)))
        except BrokenAudio:
            continue  # the validation's loader counts and lists it
    return found
