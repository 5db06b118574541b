"""A model of coqui-tts, trained by its own recipe and Trainer:  coqui.py NAME CORPUS FOLDER SEED MINUTES ...

Runs in the interpreter that has coqui-tts and imports nothing of this repository. CORPUS is a folder as LJSpeech's
with sentences.txt (id|text) beside metadata.csv. After each so many MINUTES of training it speaks these sentences into
FOLDER/minutes-5/ID.wav. FOLDER/marks.jsonl has a line for each time it spoke, FOLDER/losses.jsonl one for each epoch.

Minutes are of this process' own processor time, all its threads together, within steps and while data is waited for;
speaking, phonemes made beforehand and what lies between epochs do not count.
"""

import json
import os
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from trainer import Trainer, TrainerArgs
from TTS.config.shared_configs import BaseAudioConfig
from TTS.tts.configs.glow_tts_config import GlowTTSConfig
from TTS.tts.configs.shared_configs import BaseDatasetConfig, BaseTTSConfig
from TTS.tts.configs.vits_config import VitsConfig
from TTS.tts.datasets import load_tts_samples
from TTS.tts.models import setup_model

VERSIONS = ("coqui-tts", "coqui-tts-trainer", "torch")
NEVER = 10**9
# Evaluations, checkpoints and test sentences of the Trainer: their time would not count, so they are left out.
NOTHING_ELSE = {
    "run_eval": False,
    "test_delay_epochs": NEVER,
    "save_checkpoints": False,
    "save_best_after": NEVER,
    "epochs": NEVER,
    "num_loader_workers": 0,  # so that its work is in this process, whose time is counted
}


# The recordings hold nothing above 8 kHz, and a mel channel that is always empty is scaled up a thousand times by
# Glow-TTS' normalization, which then learns nothing: measured. LJSpeech has sound up to 11 kHz, where the recipes end.
MOST_HZ = 8000.0


def glow_tts_published() -> BaseTTSConfig:
    """recipes/ljspeech/glow_tts/train_glowtts.py of coqui-ai-TTS."""
    return GlowTTSConfig(
        audio=BaseAudioConfig(mel_fmax=MOST_HZ),
        batch_size=32,
        text_cleaner="phoneme_cleaners",
        use_phonemes=True,
        phoneme_language="en-us",
        mixed_precision=True,
    )


def glow_tts() -> BaseTTSConfig:
    """The recipe, fitted to half an hour, without which it learns nothing in that time.

    Warm-up: the recipe's scheduler steps once an epoch (a default of the Trainer), so the rate would be 1e-3 only after
    4000 epochs. Here it steps with the optimizer, as the paper has it (Kim et al. 2020, section 4), and its warm-up is
    about a tenth of the run, as our own levels' at most is. Batches as small as ours: four times the steps.
    """
    config = glow_tts_published()
    config.batch_size, config.batch_group_size = 8, 5
    config.scheduler_after_epoch, config.lr_scheduler_params = False, {"warmup_steps": 150}
    return config


def glow_tts_fp32() -> BaseTTSConfig:
    """glow_tts without mixed precision: fewer steps, in case they are worth more."""
    config = glow_tts()
    config.mixed_precision = False
    return config


def vits() -> BaseTTSConfig:
    """recipes/ljspeech/vits_tts/train_vits.py of coqui-ai-TTS, in batches as small as ours. It has no warm-up."""
    audio = BaseAudioConfig(
        sample_rate=22050, win_length=1024, hop_length=256, num_mels=80, mel_fmin=0, mel_fmax=MOST_HZ
    )
    return VitsConfig(
        audio=audio,
        batch_size=8,
        batch_group_size=5,
        text_cleaner="english_cleaners",
        use_phonemes=True,
        phoneme_language="en-us",
        compute_input_seq_cache=True,
        mixed_precision=True,
    )


RECIPES = {recipe.__name__: recipe for recipe in (glow_tts, vits, glow_tts_fp32, glow_tts_published)}


class Watch:
    """The clock, and what happens when it says so."""

    def __init__(self, folder: Path, sentences: dict[str, str], minutes: list[float]):
        self.folder, self.sentences, self.left = folder, sentences, sorted(minutes)
        self.seconds = self.wall_s = 0.0
        (folder / "losses.jsonl").touch()  # a run may end within its first epoch

    def start(self, trainer: Trainer | None = None) -> None:
        self.before, self.wall_before = time.process_time(), time.monotonic()

    def on_step_end(self, trainer: Trainer) -> None:
        self.seconds += time.process_time() - self.before
        self.wall_s += time.monotonic() - self.wall_before
        if self.left and self.seconds >= 60 * self.left[0]:
            self.speak(trainer, self.left.pop(0))
            if not self.left:
                os._exit(0)  # fit() takes every exception, SystemExit too, for a failure
        self.start()

    def on_epoch_end(self, trainer: Trainer) -> None:
        averages = {key: float(value) for key, value in trainer.keep_avg_train.avg_values.items() if "time" not in key}
        self.write("losses", {"step": trainer.total_steps_done, "seconds": self.seconds, **averages})

    def speak(self, trainer: Trainer, minutes: float) -> None:
        """With the weights as they are; the training goes on as if it had not been."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        model, folder = trainer.model, self.folder / f"minutes-{minutes:g}"
        model.eval()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for name, text in self.sentences.items():
                wave_N = model.synthesize(text, use_griffin_lim=True)["wav"]
                model.ap.save_wav(wave_N, folder / f"{name}.wav")
        model.train()
        line = {"minutes": minutes, "seconds": self.seconds, "wall_s": self.wall_s, "step": trainer.total_steps_done}
        line |= {"batch_size": trainer.config.batch_size, "bf16": trainer.config.mixed_precision}
        line |= {"process_cpu_s": used.ru_utime + used.ru_stime, "threads": torch.get_num_threads()}
        self.write("marks", line | {"versions": {name: version(name) for name in VERSIONS}})

    def write(self, name: str, line: dict) -> None:
        with (self.folder / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def main(name: str, corpus: Path, folder: Path, seed: int, minutes: list[float]) -> None:
    config = RECIPES[name]()
    for key, value in NOTHING_ELSE.items():
        setattr(config, key, value)
    config.datasets = [BaseDatasetConfig(formatter="ljspeech", meta_file_train="metadata.csv", path=str(corpus))]
    config.phoneme_cache_path, config.training_seed = str(folder / "phonemes"), seed
    # The recipes' mixed precision is fp16, of GPUs. A CPU has bf16 or nothing; torch has no public question for that.
    config.mixed_precision = config.mixed_precision and torch.cpu._is_avx512_bf16_supported()
    config.precision = "bf16"
    samples, _ = load_tts_samples(config, eval_split=False)
    lines = (corpus / "sentences.txt").read_text(encoding="utf-8").splitlines()
    watch = Watch(folder, dict(line.split("|", 1) for line in lines), minutes)
    # The epoch begins when its loader is there, with all phonemes made.
    callbacks = {
        "on_train_epoch_start": watch.start,
        "on_train_step_end": watch.on_step_end,
        "on_train_epoch_end": watch.on_epoch_end,
    }
    torch.manual_seed(seed)  # before the weights; the Trainer seeds again
    trainer = Trainer(
        TrainerArgs(),
        config,
        str(folder),
        model=setup_model(config),
        train_samples=samples,
        parse_command_line_args=False,
        callbacks=callbacks,
    )
    trainer.fit()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), list(map(float, sys.argv[5:])))
