"""Held-out sentences spoken while training: wav and picture in the run folder, and in the tracker."""

import re
import time
from hashlib import blake2b
from pathlib import Path

import soundfile
from accelerate import Accelerator
from transformers import TrainerCallback

from data_pipeline.utterance import Utterance
from evaluation.speaking import first_seconds, speak_utterances
from inference.plots import mel_and_alignment_figure
from inference.synthesizer import Spoken
from training.distributed.collectives import as_main_says
from training.loop.eval_weights import EvalWeights
from training.setup.trackers import Trackers

LONGEST_NAME = 50  # characters, of up to four bytes each, in a file name of 255 bytes at most


def file_names(ids: list[str]) -> list[str]:
    """A name for each sample, no two alike: of long ids that begin alike the rest tells in a hash."""
    names: list[str] = []
    for one in ids:
        name = re.sub(r"[^\w.-]+", "_", one)
        if len(name) > LONGEST_NAME:
            digest = blake2b(one.encode("utf-8", "replace"), digest_size=4).hexdigest()
            name = f"{name[: LONGEST_NAME - 9]}-{digest}"
        again = sum(other == name or other.startswith(f"{name}.") for other in names)
        names.append(f"{name}.{again + 1}" if again else name)
    return names


class AudioSamples(TrainerCallback):
    """Every few minutes, and at the end. The main process speaks; its clock decides for all.

    Args:
        eval_weights: the weights that would ship, which all ranks may have to put together.
        trackers: where sounds and pictures go, beside the files.
        sentences: what is spoken, each in the voice of its speaker.
        folder: where `step-00000500-<id>.wav` and `.png` go.
        every_minutes: wall-clock time between two rounds; looked at when the run logs.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        eval_weights: EvalWeights,
        trackers: Trackers,
        sentences: list[Utterance],
        vocoder,
        folder: Path,
        every_minutes: float,
    ):
        self.accelerator, self.eval_weights, self.trackers = accelerator, eval_weights, trackers
        self.sentences, self.vocoder = sentences, vocoder
        self.folder, self.every_s = Path(folder), 60 * every_minutes
        self.spoken_at = time.monotonic()
        self.step_spoken = -1

    def on_step_end(self, args, state, control, processing_class=None, **kwargs):
        if control.should_log:
            is_due = time.monotonic() - self.spoken_at >= self.every_s
            if as_main_says(self.accelerator, is_due):
                self._speak(state.global_step, processing_class)

    def on_train_end(self, args, state, control, processing_class=None, **kwargs):
        if state.global_step != self.step_spoken:
            self._speak(state.global_step, processing_class)

    def _speak(self, step: int, processor) -> None:
        with self.eval_weights.whole() as model:
            if model is not None:
                every = speak_utterances(model, processor, self.sentences, first_seconds(self.vocoder))
                try:
                    names = file_names([utterance.id for utterance in self.sentences])
                    for name, spoken in zip(names, every, strict=True):
                        self._write(step, name, spoken)
                except (OSError, soundfile.SoundFileError) as error:  # a full disk, most likely
                    print(f"Step {step}: no samples were written ({error}). Training goes on.", flush=True)
        # Counted from here, so that a machine on which speaking is slow still trains most of the time.
        self.spoken_at, self.step_spoken = time.monotonic(), step

    def _write(self, step: int, name: str, spoken: Spoken) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:08d}-{name}"
        wav, png = Path(f"{path}.wav"), Path(f"{path}.png")
        config = self.vocoder.audio_config
        soundfile.write(wav, spoken.wave.cpu().numpy(), config.sample_rate_hz)
        figure = mel_and_alignment_figure(
            spoken.speech.mel_TC.cpu(),
            text=spoken.tokens,
            frames_per_s=config.frames_per_s,
            durations_S=spoken.speech.durations_S.cpu(),
            title=f"step {step}: {spoken.text}",
        )
        figure.savefig(png, dpi=80)
        self.trackers.sample(f"sample/{name}", wav, png, step)
