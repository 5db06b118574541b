"""An end to what hangs while it is tried, so that a benchmark counts it and goes on. Unix, main thread."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class TooLong(BaseException):
    """The time is over; not an Exception, so that nothing under test catches it."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raises TooLong within, after so many seconds."""

    def end(*_) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
