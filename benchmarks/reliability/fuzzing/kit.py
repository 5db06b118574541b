"""What is harmed: good of every kind, made once each, when it is first asked for."""

import importlib.util
import json
import logging
import os
import socket
import threading
import time
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
import torch
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig
from transformers.trainer_callback import CallbackHandler

import listen
import train_main
from benchmarks.reliability.fuzzing.drawn import Ill
from data_pipeline.phonemes import espeak
from data_pipeline.reading.sources import open_source
from data_pipeline.recordings.audio import AudioConfig, decode_audio
from data_pipeline.text.tokens import UNITS, Vocabulary
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor, GoyaTokenizer
from training.config.arguments import parse
from training.config.hardware import Hardware, detect
from training.setup.building import build_accelerator
from training.state import run_state

RATE_HZ, RECORDINGS = 16_000, 8
# A run of the debug size on the embedded corpus, as short as they are.
RUN = "--debug --device cpu --model-size debug --batch-size 2 --num-workers 0 --tracker none --max-steps 3 --set "
RUN += "log.samples=0 --set log.quality_sentences=0 --set train.cpu_threads=1 --set checkpoint.every_steps=1"


class Kit:
    def __init__(self, folder: Path, demo: Path):
        self.folder, self.demo = folder, demo
        self.audio = AudioConfig()

    @cached_property
    def hardware(self) -> Hardware:
        return detect("cpu")

    @cached_property
    def model(self) -> Path:
        """Of the debug size, whose speech is short."""
        torch.manual_seed(0)
        tokens, folder = len(GoyaProcessor().tokenizer), self.folder / "model"
        config = GoyaConfig.of_size("debug", vocab_size=tokens, audio=asdict(self.audio), max_token_steps=3)
        config.voices = {"ann-en": [0.5] * config.voice_size, "bob-fa": [0.1] * config.voice_size}
        GoyaForTextToSpeech(config).save_pretrained(folder)
        GoyaProcessor().save_pretrained(folder)
        return folder

    @cached_property
    def vocoder(self) -> Path:
        torch.manual_seed(0)
        rates, folder = [8, 8, 4], self.folder / "vocoder"
        config = SpeechT5HifiGanConfig(
            model_in_dim=self.audio.n_mels,
            sampling_rate=self.audio.sample_rate_hz,
            upsample_initial_channel=16,
            upsample_rates=rates,
            upsample_kernel_sizes=[2 * rate for rate in rates],
            audio=asdict(self.audio),
        )
        SpeechT5HifiGan(config).save_pretrained(folder)
        return folder

    @cached_property
    def mel(self) -> torch.Tensor:
        return torch.full((5, self.audio.n_mels), -5.0)

    @cached_property
    def processor(self) -> GoyaProcessor:
        return GoyaProcessor()

    @cached_property
    def readers(self) -> list[GoyaProcessor]:
        """A processor for each unit of text that can be had here."""
        units = [one for one in UNITS if one != "espeak" or espeak.is_installed()]
        return [GoyaProcessor(tokenizer=GoyaTokenizer(vocabulary=Vocabulary(units=one))) for one in units]

    @cached_property
    def recordings(self) -> list[bytes]:
        """Short ones of the embedded corpus, as they are stored."""
        source, found = open_source(str(self.demo), split="train"), []
        for row in source.rows():
            if row["duration_s"] < 1.5:
                found.append(source.to_utterance(row).audio)
            if len(found) == RECORDINGS:
                break
        return found

    @cached_property
    def wave(self) -> np.ndarray:
        return decode_audio(self.recordings[0], RATE_HZ)

    @cached_property
    def short_wav(self) -> bytes:
        path = self.folder / "short.wav"
        soundfile.write(path, self.wave, RATE_HZ)
        return path.read_bytes()

    @cached_property
    def run(self) -> Path:
        """The folder of a run of three steps, with its checkpoints and best model."""
        folder = self.folder / "run"
        assert train_main.main([*RUN.split(), "--checkpoint-dir", str(folder)]) == 0, "the run that is to be harmed"
        (folder / "run.lock").unlink()
        return folder

    @cached_property
    def trainer(self):
        """One that would go on with the run, as train_main.py builds it; each time as if it had not gone on yet."""
        own = self.folder / "own"
        config, provenance, _ = parse([*RUN.split(), "--checkpoint-dir", str(own)], self.hardware)
        trainer = train_main.build_trainer(config, provenance, build_accelerator(config))
        from callbacks.default import default_callbacks

        callbacks = default_callbacks(trainer, trainer.accelerator, vocoder=None)
        trainer.callbacks = CallbackHandler(callbacks, trainer.raw_model, trainer.processor, trainer.optimizer, None)
        fresh = json.dumps(run_state.to_json(trainer))
        run_state.to_json = lambda _: json.loads(fresh)
        return trainer

    @cached_property
    def page(self) -> "ServedPage":
        from benchmarks.reliability.fuzzing import pages

        page = ServedPage(self.folder / "page", self.model)
        pages.run(page, "known", [page.model, None, None])
        return page


class ServedPage:
    """listen.py's page over a socket of this computer, in a thread; what it logs of errors is kept."""

    def __init__(self, folder: Path, model: Path):
        assert importlib.util.find_spec("gradio"), "needs the extra `web`"
        spoken, self.uploads = folder / "spoken", folder / "served"
        spoken.mkdir(parents=True)
        self.uploads.mkdir()
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(self.uploads)}
        self.model, self.secret, self.secret_content = model.name, folder / "diary.wav", b"nobody may read this"
        self.secret.write_bytes(self.secret_content)
        from inference.web.listening import Voices
        from inference.web.page import Page, serve

        page = Page(Voices(str(model)), spoken)
        self.functions = {one.fn.__name__: number for number, one in page.blocks.fns.items() if one.fn is not None}
        listener = listen.listening(free_port())
        self.address = listener.getsockname()
        self.host = "{}:{}".format(*self.address)
        self.errors: list[str] = []
        handler = logging.Handler(logging.ERROR)
        handler.emit = lambda record: self.errors.append(handler.format(record))
        logging.getLogger("uvicorn.error").addHandler(handler)
        threading.Thread(target=serve, args=(page, listener, self.uploads), daemon=True).start()
        time.sleep(1)  # it listens already; what comes before it has started waits

    def check_log(self) -> None:
        """Raises Ill for an exception that reached the server."""
        if self.errors:
            raise Ill("traceback", self.errors.pop())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
