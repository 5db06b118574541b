"""An end to what hangs while it is tried, so that a benchmark counts it and goes on. Unix, main thread."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


class TooLong(BaseException):
    """The time is over; not an Exception, so that nothing under test catches it."""


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raises TooLong within, after so many seconds; a time for which the process itself was stopped counts as one."""
    left = seconds

    def tick(*_) -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            left = seconds  # for what goes on all the same
            raise TooLong

    before = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
