"""Ctrl-C, a cluster's SIGTERM and a closed terminal end the run after the step under way, with a checkpoint."""

import os
import signal
import time
from contextlib import suppress

from accelerate import Accelerator

from data_pipeline.batching.stall_watchdog import break_off

HEEDED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

PATIENCE_S = 60.0
STANDARD_ERROR = 2
NOTICE = b"\nStopping after this step, with a checkpoint. (Once more ends it at once.)\n"


class Interruption:
    """Remembers a signal; `check` tells every rank of one that any rank got. A second Ctrl-C ends at once, and so does
    another signal after PATIENCE_S: before that, launchers may send the first on, or the system one as they end.
    """

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator
        self.received: int | None = None
        self.received_at = 0.0
        self.signal: int | None = None  # agreed by all ranks

    def __enter__(self) -> "Interruption":
        ignored = [number for number in HEEDED if signal.getsignal(number) is signal.SIG_IGN]  # nohup
        self.before = {one: signal.signal(one, self._remember) for one in HEEDED if one not in ignored}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    @property
    def name(self) -> str:
        return signal.Signals(self.signal).name

    def _remember(self, number: int, _frame) -> None:
        if self.received is not None:
            is_meant = number == self.received == signal.SIGINT or time.monotonic() - self.received_at > PATIENCE_S
            if is_meant:
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            return
        self.received, self.received_at = number, time.monotonic()
        if self.accelerator.is_main_process:
            # Not by print, into the middle of which the signal may have come; and where nobody reads, nobody is told.
            with suppress(OSError):
                os.write(STANDARD_ERROR, NOTICE)
        if self.accelerator.num_processes == 1:  # of several, the others may be in an exchange, and wait for this one
            break_off()

    def check(self) -> bool:
        """Whether any rank was asked to stop. Call it on every rank, at the same step."""
        if self.accelerator.num_processes == 1:
            self.signal = self.received
        else:
            if self.received is not None:
                self.accelerator.set_trigger()
            if self.accelerator.check_trigger():
                self.signal = self.received or signal.SIGTERM
        return self.signal is not None
