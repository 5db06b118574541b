"""What the page to listen asks for: a text spoken by a checkpoint of a run, as synthesize.py speaks it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import soundfile
import torch

from data_pipeline.audio import AudioConfig, BrokenAudio
from data_pipeline.commands import command
from data_pipeline.errors import UserError
from data_pipeline.languages import LANGUAGES
from data_pipeline.sentences import Sentence, split_sentences
from inference.known_languages import doubts
from inference.plots import write_picture
from inference.pretrained import load, load_description, model_folders
from inference.prompt import Prompt, spoken_prompt
from inference.synthesizer import speak_sentences, wave_with_pause
from inference.vocoders.base import Vocoder
from inference.vocoders.registry import load_vocoder
from inference.voices import known_voices, voice_of
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor

MOST_CHARS = 5000  # about six minutes of speech; a wait for more is better spent away from the page


@dataclass(frozen=True)
class Wish:
    """What to say and how. A `clip` (its path) is heard in place of the `speaker`; neither is anyone's voice.

    clip_text: what the clip says; speech then goes on from it (inference.prompt).
    """

    text: str
    language: str
    speaker: str | None
    clip: str | None
    clip_text: str | None
    speed: float
    seed: int
    vocoder: str


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
        return doubts(wish.text, wish.language, load_description(self._folder(name))[0].voices)

    def say(
        self, name: str, wish: Wish, out: Path, progress: Callable[[int, int], None], picture_inches: float
    ) -> Heard:
        """Write NAME.wav and NAME.png into the folder `out`; `progress` hears (sentences said, sentences in all).

        picture_inches: the picture's width.
        """
        sentences = checked_sentences(wish)
        folder = self._folder(name)
        model, processor = load_once(folder, _written_ns(folder), self.device)
        vocoder = load_vocoder_once(wish.vocoder, processor.feature_extractor.audio_config, self.device)
        voice, prompt = wished_voice(model, processor, wish)
        wav, picture, waves = out / f"{Path(name).name}.wav", out / f"{Path(name).name}.png", []
        settings = {"seed": wish.seed, "speed": wish.speed, "prompt": prompt}
        for sentence, spoken in speak_sentences(model, processor, sentences, wish.language, voice, **settings):
            if not waves:
                write_picture(picture, spoken, vocoder.audio_config.frames_per_s, width_inches=picture_inches)
            waves.append(wave_with_pause(sentence, spoken, vocoder, wish.speed))
            progress(len(waves), len(sentences))
        wave = torch.cat(waves).cpu().numpy()
        soundfile.write(wav, wave, vocoder.sample_rate_hz)
        return Heard(wav, picture, len(wave) / vocoder.sample_rate_hz, len(sentences))

    def _folder(self, name: str) -> str:
        folders = model_folders(self.where)
        if name not in folders:
            raise UserError(
                f"{self.where} no longer holds {name}; a run keeps its newest checkpoints only. Look for new ones "
                "and choose again."
            )
        return folders[name]


def checked_sentences(wish: Wish) -> list[Sentence]:
    """The sentences of the text. Raises UserError where there are none, or too many, or a number is missing."""
    if len(wish.text) > MOST_CHARS:
        raise UserError(
            f"The text has {len(wish.text)} characters; expected {MOST_CHARS} at most on this page. Longer ones: "
            f"{command('synthesize.py', 'RUN', '--text-file', 'FILE')}"
        )
    sentences = split_sentences(wish.text, wish.language)
    if not sentences:
        raise UserError("There is nothing to speak yet; type some words into the text box.")
    if wish.seed is None or wish.seed < 0:
        raise UserError("The seed is empty or negative; expected a whole number, 0 or more.")
    return sentences


def wished_voice(
    model: GoyaForTextToSpeech, processor: GoyaProcessor, wish: Wish
) -> tuple[torch.Tensor, Prompt | None]:
    """The voice [V] and what to go on from. Raises UserError for a clip that cannot be used, called by its name."""
    clips = [wish.clip] if wish.clip else []
    try:
        voice_V = voice_of(model, processor, clips, wish.speaker, wish.language)
        return voice_V, spoken_prompt(model, processor, clips, wish.clip_text, wish.language)
    except BrokenAudio as error:
        told = str(error).replace(f"{Path(wish.clip).parent}{os.sep}", "")
        raise UserError(f"The reference clip cannot be used. {told}") from error


def _written_ns(folder: str) -> int:
    """When a model was written: best/ is written anew under the same name. 0 for a Hub id."""
    weights = Path(folder) / "model.safetensors"
    return weights.stat().st_mtime_ns if weights.is_file() else 0


@lru_cache(maxsize=2)  # two are compared
def load_once(folder: str, written_ns: int, device: str) -> tuple[GoyaForTextToSpeech, GoyaProcessor]:
    """As `load`; `written_ns` tells a model from the one that was there before."""
    return load(folder, device)


@lru_cache(maxsize=2)
def load_vocoder_once(name: str, audio_config: AudioConfig, device: str) -> Vocoder:
    return load_vocoder(name, audio_config, device)
