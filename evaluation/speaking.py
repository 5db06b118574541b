"""Held-out sentences spoken by the model freely, for samples, metrics and pictures: which, and in whose voice."""

import unicodedata
from collections.abc import Callable, Iterable
from itertools import islice

from torch import Tensor

from data_pipeline.utterance import Utterance
from inference.synthesizer import Line, Spoken, Synthesizer
from inference.vocoders.base import Vocoder
from inference.voices import voice_for
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor

MOST_S = 20.0  # of a held-out sentence that is made into a wave while training
LOOKED_AT = 1000  # held-out utterances, to choose from
FEWEST_WORDS = 3  # of a sentence that is spoken to be heard or judged
# First words of Unicode's names of the letters of scripts without spaces between words, whose words have two or more.
UNSPACED = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"}
LETTERS_A_WORD = 2


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


def first_seconds(vocoder: Vocoder) -> Callable[[Tensor], Tensor]:
    """The vocoder, of a mel's first `MOST_S` alone: a model that has learned little speaks for minutes."""
    most_frames = round(MOST_S * vocoder.audio_config.frames_per_s)
    return lambda mel_TC: vocoder(mel_TC[:most_frames])


def speak_utterances(
    model: GoyaForTextToSpeech, processor: GoyaProcessor, utterances: list[Utterance], vocoder=None, *, seed: int = 0
) -> list[Spoken]:
    """Each in its speaker's stored voice; where the model knows no such speaker, in its language's."""
    known = {name.rpartition("-")[0] for name in model.config.voices}
    speakers = [one.speaker if one.speaker in known else None for one in utterances]
    lines = [
        Line(one.text, one.language, voice_for(model, speaker, one.language))
        for one, speaker in zip(utterances, speakers, strict=True)
    ]
    return list(Synthesizer(model, processor).each(lines, vocoder, seed=seed, batch_size=20))
