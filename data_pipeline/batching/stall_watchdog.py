"""A data source that stalls: said after a minute, an error after a while, never a silent hang."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from data_pipeline.errors import UserError, redact

NOTICE_S = 60.0
REPEAT_S = 1.0  # between attempts to break off a wait that swallows the first


class Stalled(UserError):
    """No data came for as long as the user is ready to wait."""

    happened = False  # in this process


class BrokenOff(BaseException):
    """A wait, or what else can be given up, ends as the run was told to stop. No Exception, as _RanOut."""


class _RanOut(BaseException):
    """Raised where the wait is. No Exception, so that no reader takes it for a broken row, or tries again."""


def break_off() -> None:
    """From a signal's handler: raises BrokenOff where the main thread waits, and otherwise does nothing."""
    if _Wait.open:
        raise BrokenOff


class StallWatchdog:
    """Bounds each wait of the main thread, whatever it waits for: a file, a network, a loading process.

    It is a no-op in other threads, which get no signals. Other signals work as they do without it.

    Args:
        source: what is read, for the messages.
        limit_s: seconds after which a wait ends with Stalled.
        notice_s: seconds after which a line on stderr says what is waited for, once a wait.
    """

    def __init__(self, source: str, limit_s: float, notice_s: float = NOTICE_S):
        self.source, self.limit_s, self.notice_s = source, limit_s, notice_s

    def waiting(self, how_far: Callable[[], str]) -> "_Wait":
        """A context manager around one wait; how_far tells, once it is asked for, how far the reading has come."""
        return _Wait(self, how_far)


class _Wait:
    open = 0  # waits of the main thread under way

    def __init__(self, watchdog: StallWatchdog, how_far: Callable[[], str]):
        self.watchdog, self.how_far = watchdog, how_far
        self.is_said = self.has_run_out = self.is_over = False

    def __enter__(self) -> None:
        self.is_main = threading.current_thread() is threading.main_thread()
        if not self.is_main:
            return
        _Wait.open += 1
        self.started = time.monotonic()
        self.handler_before = signal.signal(signal.SIGALRM, self._on_alarm)
        first_s = min(self.watchdog.notice_s, self.watchdog.limit_s)
        self.timer_before = signal.setitimer(signal.ITIMER_REAL, first_s, REPEAT_S)

    def __exit__(self, kind, error, traceback) -> None:
        """Raises Stalled where the time has run out, even if something on the way swallowed that."""
        self.is_over = True
        if not self.is_main:
            return
        _Wait.open -= 1
        signal.setitimer(signal.ITIMER_REAL, *self.timer_before)
        signal.signal(signal.SIGALRM, self.handler_before)
        if self.has_run_out:
            Stalled.happened = True
            raise Stalled(
                f"No data came for {self.watchdog.limit_s / 60:g} minutes (data.stall_minutes) from "
                f"{self.watchdog.source} ({self.how_far()}); expected the next utterances. See whether its disk or "
                "network answers, then give the same command again: it goes on from the last checkpoint."
            ) from None

    def _on_alarm(self, _number: int, _frame) -> None:
        if self.is_over:
            return
        left_s = self.watchdog.limit_s - (time.monotonic() - self.started)
        if left_s <= 0:
            self.has_run_out = True
            raise _RanOut
        signal.setitimer(signal.ITIMER_REAL, left_s, REPEAT_S)
        if not self.is_said:
            self.is_said = True
            # Not print: what is interrupted may be in the midst of one.
            os.write(sys.__stderr__.fileno(), redact(self._notice()).encode())

    def _notice(self) -> str:
        return (
            f"\nWaiting for data since {self.watchdog.notice_s:g} s: {self.watchdog.source} ({self.how_far()}); "
            f"the run ends after {self.watchdog.limit_s / 60:g} minutes of it (data.stall_minutes).\n"
        )
