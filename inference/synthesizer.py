"""A text of any length spoken by a trained model: the one way from text, voice, prompt and vocoder to a wave.

Shapes: N samples, V numbers of a voice (GoyaConfig.voice_size).
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from data_pipeline.errors import UserError, shown
from data_pipeline.text.sentences import Sentence, split_sentences
from inference.generation import Speech, evaluating, synthesize
from inference.known_languages import doubts, language_to_speak, only_language
from inference.options import AUTO, SpeechOptions
from inference.pretrained import device_to_use, load
from inference.prompt import Prompt, spoken_prompt
from inference.streaming import stream_mel, stream_wave
from inference.vocoders.base import Vocoder
from inference.vocoders.registry import load_vocoder
from inference.voices import voice_of
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor

DEFAULTS = SpeechOptions()


@dataclass(frozen=True)
class Line:
    """What to speak, in which language and voice [V]."""

    text: str
    language: str | None
    voice_V: Tensor


@dataclass
class Spoken:
    """A line the model spoke: its log-mel and durations, and the wave [N] float32 where a vocoder was given."""

    text: str
    tokens: list[str]
    speech: Speech
    wave: Tensor | None


@dataclass(frozen=True)
class SpokenSentence:
    """A sentence of a text, whose wave is not made before it is asked for.

    pause_s: of the silence after it.
    """

    spoken: Spoken
    pause_s: float
    vocoder: Vocoder

    def wave(self) -> Tensor:
        """[N] of the sentence and of the pause after it."""
        return torch.cat((self.vocoder(self.spoken.speech.mel_TC), silence(self.pause_s, self.vocoder)))


@dataclass(frozen=True)
class Request:
    """A text and how to speak it, with everything found that it takes; of the options the language too."""

    sentences: list[Sentence]
    lines: list[Line]
    prompt: Prompt | None
    vocoder: Vocoder
    options: SpeechOptions


class Synthesizer:
    """Speaks with a model, its processor, and a vocoder that is loaded once for each name. Training is undisturbed.

    vocoders: those that are loaded already, to which its own come; several synthesizers can share them.
    """

    def __init__(self, model: GoyaForTextToSpeech, processor: GoyaProcessor, vocoders: dict | None = None):
        # cuDNN's attention makes a plan for each new shape, of 23 ms and more on Hopper: here at every decoder step.
        torch.backends.cuda.enable_cudnn_sdp(False)
        self.model, self.processor = model, processor
        self._vocoders: dict[tuple, Vocoder] = {} if vocoders is None else vocoders

    @classmethod
    def from_pretrained(cls, where: str, device: str = "auto", vocoders: dict | None = None) -> "Synthesizer":
        """Of a run folder, a model's folder or a Hub id, on cpu, cuda or mps; auto: a GPU where there is one.

        Raises UserError where it cannot be had.
        """
        return cls(*load(where, device_to_use(device)), vocoders)

    def speak(self, text: str, options: SpeechOptions = DEFAULTS) -> Tensor:
        """The wave [N], float32 at the vocoder's sample_rate_hz, with pauses between sentences.

        Warns of a language or script that the model was not trained on. Raises UserError for what cannot be spoken, a
        voice or clip that cannot be had, or a language that is not said or that the model has no token for.
        """
        request = self._request(text, options)
        language = request.options.language
        for doubt in self.doubts(text, language) if language else ():
            warnings.warn(doubt, stacklevel=2)
        return torch.cat([sentence.wave() for sentence in self._sentences(request)])

    def sentences(self, text: str, options: SpeechOptions = DEFAULTS) -> Iterator[SpokenSentence]:
        """Each sentence of a text as it is spoken, a few of them at once. Raises UserError at once, as `speak`."""
        return self._sentences(self._request(text, options))

    def stream(self, text: str, options: SpeechOptions = DEFAULTS) -> Iterator[Tensor]:
        """The wave [N] of a text as it is made, pauses among it. Raises UserError at once, as `speak`.

        The chunks are of a fraction of a second, or with a vocoder that needs the whole mel of whole sentences. The
        samples are those of `sentences`.
        """
        return self._stream(self._request(text, options))

    def each(
        self,
        lines: Sequence[Line],
        vocoder: Callable[[Tensor], Tensor] | None = None,
        *,
        speed: float = 1.0,
        seed: int = 0,
        prompt: Prompt | None = None,
        batch_size: int = 8,
    ) -> Iterator[Spoken]:
        """Yield lines of any number as they were spoken, while no more than a batch is held; all after one prompt.

        The same seed gives the same speech, whatever the batch size.
        """
        for start in range(0, len(lines), batch_size):
            part = lines[start : start + batch_size]
            texts, languages = [line.text for line in part], [line.language for line in part]
            inputs = self.processor(text=texts, language=languages).to(self.model.device)
            ids_BS, lengths_B = inputs["input_ids"], inputs["token_lengths"]
            with evaluating(self.model):
                voice_BV = torch.stack([line.voice_V for line in part])
                more = {"seed": seed, "first_number": start, "prompt": prompt}
                speeches = synthesize(self.model, ids_BS, lengths_B, voice_BV, speed, **more)
            for text, ids_S, length, speech in zip(texts, ids_BS, lengths_B, speeches, strict=True):
                tokens = self.processor.tokenizer.convert_ids_to_tokens(ids_S[:length].tolist())
                yield Spoken(text, tokens, speech, vocoder(speech.mel_TC) if vocoder else None)

    def vocoder(self, name: str = AUTO) -> Vocoder:
        """As `load_vocoder`, for the model's mels and on its device."""
        key = (name, self.processor.feature_extractor.audio_config, self.model.device)
        if key not in self._vocoders:
            self._vocoders[key] = load_vocoder(*key)
        return self._vocoders[key]

    def language_to_speak(self, given: str | None) -> str:
        """As given, else English where the model knows it or names none, else its first. Raises UserError."""
        return language_to_speak(given, self.model.config.voices, self.processor.tokenizer.vocabulary)

    def doubts(self, text: str, language: str) -> list[str]:
        """Why a text may come out as nonsense (inference.known_languages)."""
        return doubts(text, language, self.model.config.voices)

    def _request(self, text: str, options: SpeechOptions) -> Request:
        model, processor = self.model, self.processor
        language = options.language or only_language(model.config.voices)
        sentences = split_sentences(text, language)
        if not sentences:
            raise UserError(f"The text {shown(text)!r} holds nothing to speak; expected words.")
        if language is not None:
            self.language_to_speak(language)
        voice_V = voice_of(model, processor, options.clips, options.voice, language)
        its_language = options.reference_language or language
        prompt = spoken_prompt(model, processor, options.clips, options.reference_text, its_language)
        lines = [Line(sentence.text, language, voice_V) for sentence in sentences]
        return Request(sentences, lines, prompt, self.vocoder(options.vocoder), replace(options, language=language))

    def _sentences(self, request: Request) -> Iterator[SpokenSentence]:
        options = request.options
        spoken = self.each(request.lines, speed=options.speed, seed=options.seed, prompt=request.prompt)
        return (
            SpokenSentence(one, sentence.pause_s / options.speed, request.vocoder)
            for sentence, one in zip(request.sentences, spoken, strict=True)
        )

    def _stream(self, request: Request) -> Iterator[Tensor]:
        vocoder, speed = request.vocoder, request.options.speed
        more = {"seed": request.options.seed, "prompt": request.prompt, "ahead_frames": vocoder.context_frames or 0}
        with evaluating(self.model):
            for number, (sentence, line) in enumerate(zip(request.sentences, request.lines, strict=True)):
                inputs = self.processor(text=line.text, language=line.language).to(self.model.device)
                mels = stream_mel(self.model, inputs["input_ids"][0], line.voice_V, speed, number=number, **more)
                yield from stream_wave(vocoder, mels)
                if sentence.pause_s:
                    yield silence(sentence.pause_s / speed, vocoder)


def silence(seconds: float, vocoder: Vocoder) -> Tensor:
    """A pause, as a wave [N]."""
    return torch.zeros(round(seconds * vocoder.sample_rate_hz), device=vocoder.device)
