"""Held-out sentences, spoken by the model freely: what samples, metrics and pictures are made from."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from data_pipeline.errors import UserError
from data_pipeline.utterance import Utterance
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from modeling.synthesis import Speech, synthesise

LOOKED_AT = 1000  # held-out utterances, to choose from


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
        if len(utterance.text.split()) >= 3 and len(by_language.setdefault(utterance.language, [])) < most:
            by_language[utterance.language].append(utterance)
    return by_language


def in_turn(by_language: dict[str | None, list[Utterance]], number: int) -> list[Utterance]:
    """`number` sentences, one of each language after another."""
    turns = max(map(len, by_language.values()), default=0)
    taken = [group[i] for i in range(turns) for group in by_language.values() if i < len(group)]
    return taken[:number]


def voice_for(model: GoyaForTextToSpeech, speaker: str | None, language: str | None) -> Tensor:
    """The stored voice [V] of a speaker, or of anyone who speaks the language, or any, in this order.

    Zeros, the middle of the prior, where the checkpoint holds no voice at all. Raises UserError for a speaker
    who is named and unknown.
    """
    voices = model.config.voices
    exact = "-".join(part for part in (speaker, language) if part) or "default"
    for name in (exact, speaker):
        if name in voices:
            return torch.tensor(voices[name], device=model.device)
    if speaker is not None:
        found = [name for name in voices if name.startswith(f"{speaker}-")]
        if not found:
            raise UserError(
                f"This checkpoint knows no voice {speaker!r}; it knows: {', '.join(sorted(voices)) or 'none'}."
            )
        return torch.tensor(voices[found[0]], device=model.device)
    found = [name for name in voices if language and name.endswith(f"-{language}")] or list(voices)
    return torch.tensor(voices[found[0]] if found else [0.0] * model.config.voice_dim, device=model.device)


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
) -> list[Spoken]:
    """Speak texts, each in its language and voice [V]. The same seed gives the same speech; training is undisturbed."""
    spoken = []
    was_training = model.training
    model.eval()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for start in range(0, len(texts), batch_size):
            part = slice(start, start + batch_size)
            inputs = processor(text=texts[part], language=languages[part]).to(model.device)
            voice_BV = torch.stack(voices[part])
            speeches = synthesise(model, inputs["input_ids"], inputs["token_lengths"], voice_BV, speed)
            for text, ids, length, speech in zip(
                texts[part], inputs["input_ids"], inputs["token_lengths"], speeches, strict=True
            ):
                tokens = processor.tokenizer.convert_ids_to_tokens(ids[:length].tolist())
                spoken.append(Spoken(text, tokens, speech, vocoder(speech.mel_TC) if vocoder else None))
    model.train(was_training)
    return spoken


def speak_utterances(
    model: GoyaForTextToSpeech, processor: GoyaProcessor, utterances: list[Utterance], vocoder=None, *, seed: int = 0
) -> list[Spoken]:
    """Each in its speaker's stored voice; where the model knows no such speaker, in its language's."""
    known = {name.rpartition("-")[0] for name in model.config.voices}
    voices = [voice_for(model, one.speaker if one.speaker in known else None, one.language) for one in utterances]
    texts, languages = [one.text for one in utterances], [one.language for one in utterances]
    return speak(model, processor, texts, languages, voices, vocoder, seed=seed)
