"""Ctrl-C and a cluster's SIGTERM end the run after the step under way, with a checkpoint."""

import signal

from accelerate import Accelerator


class Interruption:
    """Remembers a signal; `check` tells every rank of one that any rank got. A second signal ends at once."""

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator
        self.received: int | None = None
        self.signal: int | None = None  # agreed by all ranks

    def __enter__(self) -> "Interruption":
        self.before = {number: signal.signal(number, self._remember) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    @property
    def name(self) -> str:
        return signal.Signals(self.signal).name

    def _remember(self, number: int, _frame) -> None:
        if self.received is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.received = number

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
