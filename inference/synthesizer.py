"""A text of any length spoken whole, by whoever holds a model and its processor: a program, or a model from the Hub.

Shapes: N samples.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from data_pipeline.errors import UserError
from data_pipeline.sentences import Sentence, split_sentences
from inference.generation import Speech, evaluating, synthesise
from inference.known_languages import doubts, language_to_speak
from inference.options import AUTO
from inference.prompt import Prompt, spoken_prompt
from inference.streaming import stream_mel, stream_wave
from inference.vocoders.base import Vocoder
from inference.vocoders.registry import load_vocoder
from inference.voices import known_voices, voice_of
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor


def speak_text(
    model: GoyaForTextToSpeech,
    processor: GoyaProcessor,
    text: str,
    language: str | None = None,
    *,
    voice: str | None = None,
    reference: list[str] | str | None = None,
    reference_text: str | None = None,
    reference_language: str | None = None,
    vocoder: str = AUTO,
    speed: float = 1.0,
    seed: int = 0,
) -> Tensor:
    """The wave [N], float32 at the processor's sampling_rate, with pauses between sentences.

    Args:
        language: a code or an English name; may be left out of a model whose voices are of one language.
        voice: a speaker of the training data; reference: a clip, or several, to clone in its place (paths).
        reference_text: what the one clip says, to keep closer to its voice (inference.prompt), in the language of the
            text or in reference_language.
        vocoder: as in inference.vocoders.registry.load_vocoder. speed: 2 is twice as fast.

    Warns of a language or script that the model was not trained on. Raises UserError for what cannot be spoken, a voice
    or clip that cannot be had, or a language that is not said or that the model has no token for.
    """
    language = language or only_language(model)
    sentences = split_sentences(text, language)
    if not sentences:
        raise UserError(f"The text {text!r} holds nothing to speak; expected words.")
    if language is not None:
        language_to_speak(language, model.config.voices, processor.tokenizer.vocabulary)
        for doubt in doubts(text, language, model.config.voices):
            warnings.warn(doubt, stacklevel=2)
    clips = [reference] if isinstance(reference, str) else reference or []
    voice_V = voice_of(model, processor, clips, voice, language)
    prompt = spoken_prompt(model, processor, clips, reference_text, reference_language or language)
    to_wave = load_vocoder(vocoder, processor.feature_extractor.audio_config, model.device)
    parts = []
    with evaluating(model):
        for number, sentence in enumerate(sentences):
            inputs = processor(text=sentence.text, language=language).to(model.device)
            ids_BS, lengths_B = inputs["input_ids"], inputs["token_lengths"]
            more = {"seed": seed, "first_number": number, "prompt": prompt}
            (speech,) = synthesise(model, ids_BS, lengths_B, voice_V[None], speed, **more)
            pause = torch.zeros(round(sentence.pause_s / speed * to_wave.sample_rate_hz), device=model.device)
            parts += [to_wave(speech.mel_TC), pause]
    return torch.cat(parts)


def only_language(model: GoyaForTextToSpeech) -> str | None:
    """The language of all the model's voices; None where they name none. Raises UserError where they name several."""
    languages = sorted({language for heard_in in known_voices(model.config.voices).values() for language in heard_in})
    if len(languages) > 1:
        raise UserError(f"This model speaks {', '.join(languages)}; say which, as in language={languages[0]!r}.")
    return languages[0] if languages else None


@dataclass
class Spoken:
    """A sentence the model spoke: its log-mel and durations, and the wave [N] float32 where a vocoder was given."""

    text: str
    tokens: list[str]
    speech: Speech
    wave: Tensor | None


def speak(
    model: GoyaForTextToSpeech,
    processor: GoyaProcessor,
    texts: list[str],
    languages: list[str | None],
    voices: list[Tensor],
    vocoder=None,
    *,
    seed: int = 0,
    speed: float = 1.0,
    batch_size: int = 20,
    prompt: Prompt | None = None,
) -> list[Spoken]:
    """Speak texts, each in its language and voice [V], all after the same prompt, if any.

    The same seed gives the same speech; training is undisturbed.
    """
    more = {"seed": seed, "speed": speed, "batch_size": batch_size, "prompt": prompt}
    return list(speak_in_turn(model, processor, texts, languages, voices, vocoder, **more))


def speak_in_turn(
    model: GoyaForTextToSpeech,
    processor: GoyaProcessor,
    texts: list[str],
    languages: list[str | None],
    voices: list[Tensor],
    vocoder=None,
    *,
    seed: int = 0,
    speed: float = 1.0,
    batch_size: int = 8,
    prompt: Prompt | None = None,
) -> Iterator[Spoken]:
    """As `speak`, yielding while no more than a batch is held: for texts of any number."""
    for start in range(0, len(texts), batch_size):
        part = slice(start, start + batch_size)
        inputs = processor(text=texts[part], language=languages[part]).to(model.device)
        ids_BS, lengths_B = inputs["input_ids"], inputs["token_lengths"]
        with evaluating(model):
            voice_BV = torch.stack(voices[part])
            more = {"seed": seed, "first_number": start, "prompt": prompt}
            speeches = synthesise(model, ids_BS, lengths_B, voice_BV, speed, **more)
        for text, ids_S, length, speech in zip(texts[part], ids_BS, lengths_B, speeches, strict=True):
            tokens = processor.tokenizer.convert_ids_to_tokens(ids_S[:length].tolist())
            yield Spoken(text, tokens, speech, vocoder(speech.mel_TC) if vocoder else None)


def speak_sentences(
    model: GoyaForTextToSpeech,
    processor: GoyaProcessor,
    sentences: list[Sentence],
    language: str | None,
    voice_V: Tensor,
    *,
    seed: int = 0,
    speed: float = 1.0,
    prompt: Prompt | None = None,
) -> Iterator[tuple[Sentence, Spoken]]:
    """Yield each sentence of a text as it was spoken, without a wave: `wave_with_pause` makes it."""
    texts, number = [sentence.text for sentence in sentences], len(sentences)
    languages, voices = [language] * number, [voice_V] * number
    every = speak_in_turn(model, processor, texts, languages, voices, seed=seed, speed=speed, prompt=prompt)
    return zip(sentences, every, strict=True)


def wave_with_pause(sentence: Sentence, spoken: Spoken, vocoder: Vocoder, speed: float = 1.0) -> Tensor:
    """The wave [N] of a sentence and of the pause after it."""
    return torch.cat((vocoder(spoken.speech.mel_TC), silence(sentence, vocoder, speed)))


def stream_sentences(
    model: GoyaForTextToSpeech,
    processor: GoyaProcessor,
    sentences: list[Sentence],
    language: str | None,
    voice_V: Tensor,
    vocoder: Vocoder,
    *,
    seed: int = 0,
    speed: float = 1.0,
    prompt: Prompt | None = None,
) -> Iterator[Tensor]:
    """Yield the wave [N] of a text as it is made, pauses among it; the model has to be in eval mode.

    The chunks are of a fraction of a second, or with a vocoder that needs the whole mel of whole sentences. The
    samples are those of `speak_in_turn` on the same sentences.
    """
    for number, sentence in enumerate(sentences):
        ids_S = processor(text=sentence.text, language=language).to(model.device)["input_ids"][0]
        more = {"seed": seed, "number": number, "ahead_frames": vocoder.context_frames or 0, "prompt": prompt}
        mels = stream_mel(model, ids_S, voice_V, speed, **more)
        yield from stream_wave(vocoder, mels)
        if sentence.pause_s:
            yield silence(sentence, vocoder, speed)


def silence(sentence: Sentence, vocoder: Vocoder, speed: float = 1.0) -> Tensor:
    """The pause after a sentence, as a wave [N]."""
    return torch.zeros(round(sentence.pause_s / speed * vocoder.sample_rate_hz), device=vocoder.device)
