"""How well a model speaks the demo corpus' held-out sentences: what benchmarks judge a trained model by.

CER of the English ones as moonshine-voice hears them, lengths in all languages, real-time factors, and the
teacher-forced validation loss of each language. Everything runs on the CPU. Shapes: N = samples.
"""

import time
from functools import cache
from itertools import pairwise
from pathlib import Path

import torch
from accelerate import Accelerator

from benchmarks.harness.places import DEMO
from data_pipeline.batching.loader import Loader
from data_pipeline.reading.sources import open_source
from data_pipeline.recordings.audio import AudioConfig, decode_audio, log_mel, trim_silence
from data_pipeline.utterance import Utterance
from evaluation.asr import load_recognizer
from evaluation.metrics import METRICS, load_metric
from evaluation.speaking import speak_utterances
from evaluation.text_metrics import character_error_rate
from inference.pretrained import load
from inference.synthesizer import Spoken
from inference.vocoders.base import Vocoder
from inference.vocoders.registry import load_vocoder
from inference.voices import known_voices
from training.config.fields import RunConfig
from training.loop.validation import validate
from training.setup.inputs import build_inputs

ASR_LANGUAGE = "en"
VOCODERS = ("griffin_lim", "hifigan")
DEFAULT_VOCODER = "hifigan"
TIMED_SENTENCES = 10

Sentences = dict[str, list[Utterance]]  # by language


def heldout(most: int | None = None, corpus: Path = DEMO) -> Sentences:
    """The held-out utterances of each language, in the corpus' order; the first `most` of each."""
    source = open_source(str(corpus), split="validation")
    sentences: Sentences = {}
    for row in source.rows():
        utterance = source.to_utterance(row)
        sentences.setdefault(utterance.language, []).append(utterance)
    return {language: found[:most] for language, found in sorted(sentences.items())}


class Speaker:
    """The best model of a run folder, or a model's own folder. Raises UserError where there is none."""

    def __init__(self, folder: Path):
        self.model, self.processor = load(str(folder))
        self.audio: AudioConfig = self.processor.feature_extractor.audio_config

    def knows(self, language: str) -> bool:
        """Whether it was trained on speech of that language."""
        return any(language in languages for languages in known_voices(self.model.config.voices).values())

    def speak(self, utterances: list[Utterance], seed: int = 0) -> list[Spoken]:
        """Each in its speaker's stored voice; where the model knows no such speaker, in its language's."""
        return speak_utterances(self.model, self.processor, utterances, seed=seed)

    def validation_loader(self, config: dict) -> Loader:
        """Of the corpus of `config`, as report.json has it, read as this model reads texts."""
        frames_per_step, vocabulary = self.model.config.frames_per_step, self.processor.tokenizer.vocabulary
        run = RunConfig.from_dict(config)
        return build_inputs(run, frames_per_step, rank=0, world_size=1, vocabulary=vocabulary).validation

    def validated(self, loader: Loader) -> dict[str, float]:
        """The measures of training.loop.validation, teacher-forced, in fp32."""
        found, _ = validate(Accelerator(cpu=True), self.model, loader)
        self.model.eval()  # validate leaves it training
        return found

    def seconds(self, spoken: list[Spoken]) -> float:
        return sum(len(one.speech.mel_TC) for one in spoken) / self.audio.frames_per_s


@cache
def vocoder_for(name: str, audio: AudioConfig) -> Vocoder:
    return load_vocoder(name, audio)


@cache
def recognizer():
    return load_recognizer("moonshine", ASR_LANGUAGE)


def hear(waves: list, sample_rate_hz: int) -> list[str]:
    return [recognizer()(wave, sample_rate_hz) for wave in waves]


def score(waves: list, utterances: list[Utterance], sample_rate_hz: int) -> tuple[float, list[str]]:
    """(CER, what was heard) of waves [N] that should say the utterances' texts."""
    heard = hear(waves, sample_rate_hz)
    return character_error_rate(heard, [one.text for one in utterances], ASR_LANGUAGE), heard


def recorded_figures(sentences: Sentences, audio: AudioConfig) -> dict[str, float]:
    """CER and DistillMOS of the recordings and of their copies: what recognizer and vocoders cost by themselves."""
    english = sentences[ASR_LANGUAGE]
    waves = recordings(english, audio)
    each = {"real": waves} | vocoded([log_mel(wave, audio) for wave in waves], audio)
    rates = {f"cer_{name}": score(waves, english, audio.sample_rate_hz)[0] for name, waves in each.items()}
    copies = {f"copy{suffix(name)}": each[name] for name in VOCODERS}
    for name, ones in ({"real": waves} | copies).items():
        rates |= opinion(name, ones, audio)
    return rates


def opinion(name: str, waves: list[torch.Tensor], audio: AudioConfig) -> dict[str, float]:
    """The mean DistillMOS (1 to 5) of waves [N], as the figure distillmos_`name`; {} where the metric is not there."""
    if "distillmos" not in METRICS:
        return {}
    predictions = [wave.numpy() for wave in waves]
    found = load_metric("distillmos").compute(predictions=predictions, sample_rate_hz=audio.sample_rate_hz)
    return {f"distillmos_{name}": found["distillmos"]}


def recordings(utterances: list[Utterance], audio: AudioConfig) -> list[torch.Tensor]:
    return [torch.from_numpy(decode_audio(one.audio, audio.sample_rate_hz)) for one in utterances]


def vocoded(mels_TC: list[torch.Tensor], audio: AudioConfig) -> dict[str, list[torch.Tensor]]:
    """The waves [N] of log-mels by each vocoder."""
    return {name: [vocoder_for(name, audio)(mel_TC) for mel_TC in mels_TC] for name in VOCODERS}


def spoken_figures(sentences: Sentences, speaker: Speaker, seeds: list[int]) -> tuple[dict, list[dict]]:
    """The model's CER by each vocoder, the mean and each synthesis seed's; DistillMOS and what was heard of the first.

    Figures without a vocoder's name are of DEFAULT_VOCODER.
    """
    english = sentences[ASR_LANGUAGE]
    rates: dict[str, list[float]] = {name: [] for name in VOCODERS}
    opinions = {}
    heard = [{"id": one.id, "said": one.text} for one in english]
    for seed in seeds:
        mels = [one.speech.mel_TC for one in speaker.speak(english, seed)]
        for name, waves in vocoded(mels, speaker.audio).items():
            cer, texts = score(waves, english, speaker.audio.sample_rate_hz)
            rates[name].append(cer)
            if seed == seeds[0]:
                heard = [row | {name: text} for row, text in zip(heard, texts, strict=True)]
                opinions |= opinion("model" + suffix(name), waves, speaker.audio)
    means = {"cer_model" + suffix(name): sum(each) / len(seeds) for name, each in rates.items()}
    return means | opinions | {"cer_model_each_synthesis_seed": rates}, heard


def suffix(vocoder: str) -> str:
    """Of a figure's name."""
    return "" if vocoder == DEFAULT_VOCODER else f"_{vocoder}"


def length_ratios(sentences: Sentences, speaker: Speaker) -> dict[str, float]:
    """Seconds spoken over seconds recorded, silence trimmed: speech that ends early or runs on shows here."""
    rate_hz, figures = speaker.audio.sample_rate_hz, {}
    for language, utterances in sentences.items():
        waves = [trim_silence(decode_audio(one.audio, rate_hz), rate_hz) for one in utterances]
        recorded_s = sum(map(len, waves)) / rate_hz
        figures[f"length_ratio_{language}"] = speaker.seconds(speaker.speak(utterances)) / recorded_s
    return figures


def real_time_factors(sentences: Sentences, speaker: Speaker) -> dict[str, float]:
    """Seconds of work for a second of speech, one sentence at a time, as synthesize.py does it."""
    english = sentences[ASR_LANGUAGE][:TIMED_SENTENCES]
    vocoders = [vocoder_for(name, speaker.audio) for name in VOCODERS]
    seconds, speech_s = [0.0, 0.0, 0.0], 0.0
    _work_times(english[0], speaker, vocoders)  # warms everything up
    for utterance in english:
        spoken, taken = _work_times(utterance, speaker, vocoders)
        seconds = [total + one for total, one in zip(seconds, taken, strict=True)]
        speech_s += speaker.seconds([spoken])
    model_s, *vocoders_s = seconds
    whole = {
        "real_time_factor" + suffix(name): (model_s + one) / speech_s
        for name, one in zip(VOCODERS, vocoders_s, strict=True)
    }
    return whole | {"real_time_factor_model": model_s / speech_s}


def _work_times(utterance: Utterance, speaker: Speaker, vocoders: list[Vocoder]) -> tuple[Spoken, list]:
    """A sentence's speech, and the seconds that the model and each vocoder took for it."""
    marks = [time.perf_counter()]
    [spoken] = speaker.speak([utterance])
    marks.append(time.perf_counter())
    for vocoder in vocoders:
        vocoder(spoken.speech.mel_TC)
        marks.append(time.perf_counter())
    return spoken, [after - before for before, after in pairwise(marks)]


def teacher_forced(speaker: Speaker, config: dict) -> dict[str, float]:
    """Validation mel L1 of each language, in fp32, with the limits of `config`, as report.json has it."""
    data = config["data"] | {"train_data": str(DEMO), "val_data": None}
    loader = speaker.validation_loader(config | {"data": data})
    ids: dict[str, set[str]] = {}
    for utterance in loader.plan.utterances():
        ids.setdefault(utterance.language, set()).add(utterance.id)
    figures = {}
    for language, wanted in sorted(ids.items()):
        loader.plan.keep = lambda utterance, wanted=wanted: utterance.id in wanted
        figures[f"eval_mel_{language}"] = speaker.validated(loader)["eval_mel"]
    return figures
