"""Sentences spoken by the model freely: held-out ones, for samples, metrics and pictures, and those of any text."""

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from data_pipeline.sentences import Sentence
from data_pipeline.utterance import Utterance
from evaluation.pictures import mel_and_alignment_png
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from modeling.prompt import Prompt
from modeling.streaming import stream_mel, stream_wave
from modeling.synthesis import Speech, evaluating, synthesise
from modeling.vocoder import Vocoder
from modeling.voices import voice_for

MOST_S = 20.0  # of a held-out sentence that is made into a wave while training
LOOKED_AT = 1000  # held-out utterances, to choose from
FEWEST_WORDS = 3  # of a sentence that is spoken to be heard or judged
# First words of Unicode's names of the letters of scripts without spaces between words, whose words have two or more.
UNSPACED = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"}
LETTERS_A_WORD = 2


@dataclass
class Spoken:
    """A sentence the model spoke: its log-mel and durations, and the wave [N] float32 where a vocoder was given."""

    text: str
    tokens: list[str]
    speech: Speech
    wave: Tensor | None


def choose_sentences(utterances: Iterable[Utterance], number: int, language: str | None = None) -> list[Utterance]:
    """`number` utterances of three words or more, taking turns between languages; all in `language` where given."""
    by_language = sentences_by_language(utterances, number)
    return in_turn(by_language if language is None else {language: by_language.get(language, [])}, number)


def sentences_by_language(utterances: Iterable[Utterance], most: int) -> dict[str | None, list[Utterance]]:
    """The first `most` utterances of three words or more in each language.

    No more than `LOOKED_AT` utterances are read: a corpus can be endless, and its rows large.
    """
    by_language: dict[str | None, list[Utterance]] = {}
    for utterance in islice(utterances, LOOKED_AT):
        if words_in(utterance.text) >= FEWEST_WORDS and len(by_language.setdefault(utterance.language, [])) < most:
            by_language[utterance.language].append(utterance)
    return by_language


def words_in(text: str) -> int:
    """How many words a text has, at least, also where its script puts no spaces between them."""
    unspaced = sum(unicodedata.name(one, "?").split()[0] in UNSPACED for one in text if one.isalpha())
    return max(len(text.split()), unspaced // LETTERS_A_WORD)


def in_turn(by_language: dict[str | None, list[Utterance]], number: int) -> list[Utterance]:
    """`number` sentences, one of each language after another."""
    turns = max(map(len, by_language.values()), default=0)
    taken = [group[i] for i in range(turns) for group in by_language.values() if i < len(group)]
    return taken[:number]


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


def write_picture(path: str | Path, spoken: Spoken, frames_per_s: float, **more) -> None:
    """Write mel and alignment of a sentence as a PNG; `more` is for `mel_and_alignment_figure`."""
    mel_and_alignment_png(
        path,
        spoken.speech.mel_TC.cpu(),
        text=spoken.tokens,
        frames_per_s=frames_per_s,
        durations_S=spoken.speech.durations_S.cpu(),
        title=spoken.text,
        **more,
    )


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


def first_seconds(vocoder: Vocoder) -> Callable[[Tensor], Tensor]:
    """The vocoder, of a mel's first `MOST_S` alone: a model that has learned little speaks for minutes."""
    most_frames = round(MOST_S * vocoder.audio_config.frames_per_s)
    return lambda mel_TC: vocoder(mel_TC[:most_frames])


def speak_utterances(
    model: GoyaForTextToSpeech, processor: GoyaProcessor, utterances: list[Utterance], vocoder=None, *, seed: int = 0
) -> list[Spoken]:
    """Each in its speaker's stored voice; where the model knows no such speaker, in its language's."""
    known = {name.rpartition("-")[0] for name in model.config.voices}
    voices = [voice_for(model, one.speaker if one.speaker in known else None, one.language) for one in utterances]
    texts, languages = [one.text for one in utterances], [one.language for one in utterances]
    return speak(model, processor, texts, languages, voices, vocoder, seed=seed)
