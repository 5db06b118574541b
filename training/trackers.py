"""What goes to the tracker (--tracker). Curves are not worth a run: where they cannot be written, training goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from accelerate import Accelerator


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

    def tensorboard(self) -> list:
        """The SummaryWriter that takes audio and pictures, where TensorBoard is the tracker; use it under `guarded`."""
        return [tracker.writer for tracker in self.accelerator.trackers if tracker.name == "tensorboard"]

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
            for writer in self.tensorboard():
                writer.file_writer = writer.all_writers = None
