"""What a run prints is not worth the run: a closed terminal, a pipe that nobody reads, a full disk do not end it.

Nor do letters that the terminal does not have: they are written as their numbers.
"""

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO


class LastingStream:
    """A text stream that drops what cannot be written, after a word on the other one."""

    def __init__(self, stream: TextIO, name: str, other: TextIO | None):
        self.stream, self.name, self.other = stream, name, other
        self.is_failing = False

    def write(self, text: str) -> int:
        self._try(lambda: self.stream.write(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        self._try(self.stream.flush)

    def _try(self, part) -> None:
        try:
            part()
        except (OSError, ValueError) as error:  # ValueError: it was closed
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self.is_failing:
            self.is_failing = True
            if self.other is not None:
                said = f"{self.name} cannot be written ({error}); training goes on without it."
                try:
                    print(said, file=self.other, flush=True)
                except (OSError, ValueError):
                    pass  # there is nobody left to tell
        if getattr(error, "errno", errno.EPIPE) != errno.ENOSPC:  # a disk can have room again
            point_nowhere(self.stream)

    def __getattr__(self, name: str):
        return getattr(self.stream, name)


def point_nowhere(stream: TextIO) -> None:
    """What is still in its buffers would raise again at the end of the process."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        pass  # it has no descriptor, and nothing behind it to write to


@contextmanager
def lasting_output() -> Iterator[None]:
    """Standard output and error that outlast whatever they lead to."""
    for number in (0, 1, 2):  # one that the caller closed would be given to the next file that is opened
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    before = sys.stdout, sys.stderr
    out, err = (stream or open(os.devnull, "w", encoding="utf-8") for stream in before)  # noqa: SIM115
    for stream in (out, err):
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure") and not stream.closed:
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = LastingStream(out, "Standard output", err), LastingStream(err, "Standard error", None)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            if getattr(stream, "is_failing", False):
                point_nowhere(stream)
        sys.stdout, sys.stderr = before[0] or out, before[1] or err
