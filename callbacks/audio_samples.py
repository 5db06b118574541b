"""Held-out sentences spoken while training: wav and picture in the run folder, and in the tracker."""

import re
import time
from pathlib import Path

import soundfile
from accelerate import Accelerator
from transformers import TrainerCallback

from data_pipeline.utterance import Utterance
from evaluation.pictures import mel_and_alignment_figure
from evaluation.speaking import Spoken, speak_utterances
from training.agreement import as_main_says
from training.shipped import ShippedModel


class AudioSamples(TrainerCallback):
    """Every few minutes, and at the end. The main process speaks; its clock decides for all.

    Args:
        shipped: the weights that would ship, which all ranks may have to put together.
        sentences: what is spoken, each in the voice of its speaker.
        folder: where `step-00000500-<id>.wav` and `.png` go.
        every_minutes: wall-clock time between two rounds; looked at when the run logs.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        shipped: ShippedModel,
        sentences: list[Utterance],
        vocoder,
        folder: Path,
        every_minutes: float,
    ):
        self.accelerator, self.shipped, self.sentences, self.vocoder = accelerator, shipped, sentences, vocoder
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
        with self.shipped.whole() as model:
            if model is not None:
                every = speak_utterances(model, processor, self.sentences, self.vocoder)
                for utterance, spoken in zip(self.sentences, every, strict=True):
                    self._write(step, utterance.id, spoken)
        # Counted from here, so that a machine on which speaking is slow still trains most of the time.
        self.spoken_at, self.step_spoken = time.monotonic(), step

    def _write(self, step: int, utterance_id: str, spoken: Spoken) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^\w.-]+", "_", utterance_id)
        path = self.folder / f"step-{step:08d}-{name}"
        config = self.vocoder.audio_config
        soundfile.write(path.with_suffix(".wav"), spoken.wave.cpu().numpy(), config.sample_rate_hz)
        figure = mel_and_alignment_figure(
            spoken.speech.mel_TC.cpu(),
            text=spoken.tokens,
            frames_per_s=config.frames_per_s,
            durations_S=spoken.speech.durations_S.cpu(),
            title=f"step {step}: {spoken.text}",
        )
        figure.savefig(path.with_suffix(".png"), dpi=80)
        for tracker in self.accelerator.trackers:
            if tracker.name == "tensorboard":
                wave = spoken.wave.cpu()[None]
                tracker.writer.add_audio(f"sample/{name}", wave, step, sample_rate=config.sample_rate_hz)
                tracker.writer.add_figure(f"sample/{name}", figure, step)
