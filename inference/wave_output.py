"""Where spoken waves go as they come: a file, or standard output.

Shapes: N samples.
"""

import os
import sys
from pathlib import Path

import numpy as np
import soundfile

from data_pipeline.errors import UserError

STDOUT = "-"
# Ends of files that soundfile has a default encoding for; RAW has no header to say what it holds.
ENDINGS = {name for name in soundfile.available_formats() if name != "RAW" and soundfile.default_subtype(name)}


def check_output(path: str, flag: str, endings: set[str] | None = None) -> None:
    """Raises UserError where a file cannot be written, before the work for it is done. `endings`: upper case."""
    out = Path(path)
    if os.path.isdir(out):
        raise UserError(f"{flag} {out} cannot be written: it is a folder; give the name of a file.")
    if not os.path.isdir(out.absolute().parent):
        raise UserError(f"{flag} is {out}, whose folder does not exist; make it first, or give another place.")
    if endings is not None and out.suffix[1:].upper() not in endings:
        raise UserError(f"{flag} is {out}; expected a file that ends in .wav (or .flac, .ogg, .mp3), or -.")
    was_there = os.path.exists(out)
    try:
        with open(out, "ab"):
            pass
    except OSError as error:
        raise UserError(f"{flag} {out} cannot be written ({error.strerror}); give another place.") from error
    if not was_there:
        out.unlink()


class Output:
    """Where waves [N] go as they come: a file, or standard output as raw 16-bit little-endian mono samples.

    Raises UserError where they cannot go there, at once or once the disk is full.
    """

    def __init__(self, path: str, sample_rate_hz: int):
        self.path, self.file = path, None
        if path != STDOUT:
            try:
                self.file = soundfile.SoundFile(path, "w", sample_rate_hz, 1)
            except (soundfile.LibsndfileError, TypeError, ValueError) as error:
                raise self._unwritten(error) from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.file is not None:
            self.file.close()

    def write(self, wave: np.ndarray) -> None:
        if self.file is None:
            sys.stdout.buffer.write((wave * 32767).round().astype("<i2").tobytes())
            sys.stdout.buffer.flush()
            return
        try:
            self.file.write(wave)
            self.file.flush()  # so that what is there can be heard, also where the rest never comes
        except (soundfile.LibsndfileError, OSError, AssertionError) as error:  # soundfile asserts that all was written
            raise self._unwritten(error) from error

    def _unwritten(self, error: Exception) -> UserError:
        reason = getattr(error, "error_string", str(error)) or "not all of it was written: is the disk full?"
        return UserError(
            f"--out {self.path} cannot be written ({reason.strip(' .')}); give another place, as speech.wav."
        )
