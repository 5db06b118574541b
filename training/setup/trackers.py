"""What goes to the tracker (--tracker). Curves are not worth a run: where they cannot be written, training goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import matplotlib.image
import soundfile
from accelerate import Accelerator


def _to_tensorboard(writer, tag: str, wav: Path, png: Path, step: int) -> None:
    wave, rate_hz = soundfile.read(wav, dtype="float32")
    writer.add_audio(tag, wave[None], step, sample_rate=rate_hz)
    writer.add_image(tag, matplotlib.image.imread(png), step, dataformats="HWC")


def _to_wandb(run, tag: str, wav: Path, png: Path, step: int) -> None:
    import wandb

    run.log({f"{tag}/audio": wandb.Audio(str(wav)), f"{tag}/picture": wandb.Image(str(png))}, step=step)


def _to_trackio(run, tag: str, wav: Path, png: Path, step: int) -> None:
    import trackio

    run.log({f"{tag}/audio": trackio.Audio(wav), f"{tag}/picture": trackio.Image(png)}, step=step)


def _to_mlflow(run, tag: str, wav: Path, png: Path, step: int) -> None:
    import mlflow

    for file in (wav, png):
        mlflow.log_artifact(str(file), tag, run_id=run.info.run_id)


# Tracker, which is the name of its package too -> how it takes a sample.
SAMPLES = {"tensorboard": _to_tensorboard, "wandb": _to_wandb, "trackio": _to_trackio, "mlflow": _to_mlflow}


def _report(plain: Callable, error: threading.ExceptHookArgs) -> None:
    """A traceback for what ends a thread, but not for TensorBoard's writer: `Trackers.guarded` says that in a line."""
    is_writer = type(error.thread).__module__.startswith("tensorboard.")
    if not (is_writer and isinstance(error.exc_value, OSError)):
        plain(error)


class Trackers:
    """Accelerate's trackers, on the main process; on the others each call does nothing."""

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator
        self.is_failing = False  # and that was said
        threading.excepthook = partial(_report, threading.excepthook)

    def log(self, logs: dict[str, float], step: int) -> None:
        with self.guarded():
            self.accelerator.log(logs, step=step)
            self.is_failing = False

    def sample(self, tag: str, wav: Path, png: Path, step: int) -> None:
        """A spoken sentence and its picture, from the files that they are in."""
        with self.guarded():
            for tracker in self.accelerator.trackers:
                SAMPLES[tracker.name](tracker.tracker, tag, wav, png, step)

    def end(self) -> None:
        with self.guarded():
            self.accelerator.end_training()

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Say once that the disk is full, and have TensorBoard begin a new file: its writer is broken from then on."""
        try:
            yield
        except OSError as error:
            if not self.is_failing:
                print(f"The tracker cannot write ({error}), so curves get a gap. Training goes on.", flush=True)
            self.is_failing = True
            for tracker in self.accelerator.trackers:
                if tracker.name == "tensorboard":
                    tracker.writer.file_writer = tracker.writer.all_writers = None
