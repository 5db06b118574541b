"""What the page to listen asks for: a text spoken by a checkpoint of a run, as synthesize.py speaks it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import soundfile
import torch

from data_pipeline.commands import command
from data_pipeline.errors import UserError
from data_pipeline.languages import LANGUAGES
from data_pipeline.recordings.audio import BrokenAudio
from data_pipeline.text.sentences import split_sentences
from inference.known_languages import doubts
from inference.options import SpeechOptions
from inference.plots import write_picture
from inference.pretrained import load_description, model_folders
from inference.synthesizer import SpokenSentence, Synthesizer
from inference.voices import known_voices

VOCODERS: dict = {}  # loaded, by the models that are compared too
MOST_CHARS = 5000  # about six minutes of speech; a wait for more is better spent away from the page


class Wish(NamedTuple):
    """What to say and how; the options say a language."""

    text: str
    options: SpeechOptions


@dataclass(frozen=True)
class Heard:
    """What was said: a wav of all of it, and a PNG of mel and alignment of its first sentence."""

    wav: Path
    picture: Path
    duration_s: float
    sentences: int


class Voices:
    """The models of a run folder by name, or that of a model's folder or Hub id.

    They are looked for at every call, since the run may still be training. Raises UserError, at once and in every
    method, where there is none; the methods also for a name that is not, or no longer, there.
    """

    def __init__(self, where: str, device: str = "cpu"):
        self.where, self.device = where, device
        self.names()

    def names(self) -> list[str]:
        """Best first, then the newest."""
        return list(model_folders(self.where))

    def known(self, name: str) -> tuple[list[str], dict[str, list[str]]]:
        """(language codes, speaker -> languages) of a model's voices; every language where the voices name none."""
        voices = known_voices(load_description(self._folder(name))[0].voices)
        languages = sorted({language for heard_in in voices.values() for language in heard_in})
        return languages or list(LANGUAGES), {name: heard_in for name, heard_in in voices.items() if name}

    def doubts(self, name: str, wish: Wish) -> list[str]:
        """Why the wish may come out as nonsense (inference.known_languages)."""
        return doubts(wish.text, wish.options.language, load_description(self._folder(name))[0].voices)

    def say(
        self, name: str, wish: Wish, out: Path, progress: Callable[[int, int], None], picture_inches: float
    ) -> Heard:
        """Write NAME.wav and NAME.png into the folder `out`; `progress` hears (sentences said, sentences in all).

        picture_inches: the picture's width.
        """
        number = checked_number(wish)
        folder = self._folder(name)
        synthesizer = load_once(folder, _written_ns(folder), self.device)
        wav, picture, waves = out / f"{Path(name).name}.wav", out / f"{Path(name).name}.png", []
        for sentence in wished_sentences(synthesizer, wish):
            audio = sentence.vocoder.audio_config
            if not waves:
                write_picture(picture, sentence.spoken, audio.frames_per_s, width_inches=picture_inches)
            waves.append(sentence.wave())
            progress(len(waves), number)
        wave = torch.cat(waves).cpu().numpy()
        soundfile.write(wav, wave, audio.sample_rate_hz)
        return Heard(wav, picture, len(wave) / audio.sample_rate_hz, number)

    def _folder(self, name: str) -> str:
        folders = model_folders(self.where)
        if name not in folders:
            raise UserError(
                f"{self.where} no longer holds {name}; a run keeps its newest checkpoints only. Look for new ones "
                "and choose again."
            )
        return folders[name]


def checked_options(seed: int | None, clip: str | None, speaker: str | None, **more) -> SpeechOptions:
    """As the fields of the page say it. A clip (its path) is heard in place of the speaker; neither is anyone's voice.

    Raises UserError where the field of the seed holds none.
    """
    if seed is None or seed < 0:
        raise UserError("The seed is empty or negative; expected a whole number, 0 or more.")
    return SpeechOptions(seed=seed, reference=clip, voice=None if clip else speaker, **more)


def checked_number(wish: Wish) -> int:
    """How many sentences the text has. Raises UserError where there are none, or too many characters."""
    if len(wish.text) > MOST_CHARS:
        raise UserError(
            f"The text has {len(wish.text)} characters; expected {MOST_CHARS} at most on this page. Longer ones: "
            f"{command('synthesize.py', 'RUN', '--text-file', 'FILE')}"
        )
    sentences = split_sentences(wish.text, wish.options.language)
    if not sentences:
        raise UserError("There is nothing to speak yet; type some words into the text box.")
    return len(sentences)


def wished_sentences(synthesizer: Synthesizer, wish: Wish) -> Iterator[SpokenSentence]:
    """As spoken. Raises UserError for a clip that cannot be used, called by its name."""
    try:
        return synthesizer.sentences(wish.text, wish.options)
    except BrokenAudio as error:
        told = str(error).replace(f"{Path(wish.options.reference).parent}{os.sep}", "")
        raise UserError(f"The reference clip cannot be used. {told}") from error


def _written_ns(folder: str) -> int:
    """When a model was written: best/ is written anew under the same name. 0 for a Hub id."""
    weights = Path(folder) / "model.safetensors"
    return weights.stat().st_mtime_ns if weights.is_file() else 0


@lru_cache(maxsize=2)  # two are compared
def load_once(folder: str, written_ns: int, device: str) -> Synthesizer:
    """Of a model's folder; `written_ns` tells a model from the one that was there before."""
    return Synthesizer.from_pretrained(folder, device, VOCODERS)
