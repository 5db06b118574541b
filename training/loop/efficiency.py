"""What a run loses: mel frames that are padding, and seconds in which a step waits for its data."""

import time

from data_pipeline.batching.collate import Batch


class EfficiencyMeter:
    """Padding of the whole run, resumed ones too; seconds of this process, without evaluations and checkpoints, and
    without the wait for the first batch."""

    def __init__(self):
        self.padded, self.batches = 0.0, 0  # padded shares, summed, and of how many micro-batches
        self.waiting_s = self.working_s = 0.0
        self.began_at: float | None = None
        self.ready_at: float | None = None  # since when only data is wanted

    def begin_step(self) -> None:
        """Its data is there."""
        self.began_at = time.monotonic()
        if self.ready_at is not None:
            self.waiting_s += self.began_at - self.ready_at

    def end_step(self, batches: list[Batch]) -> None:
        """The optimizer is done with it."""
        self.working_s += time.monotonic() - self.began_at
        self.padded += sum(batch.padded_share for batch in batches)
        self.batches += len(batches)

    def want_data(self) -> None:
        """All that was to be done after a step is done."""
        self.ready_at = time.monotonic()

    @property
    def padded_share(self) -> float:
        """Of the mel frames in a batch, on average."""
        return self.padded / max(1, self.batches)

    @property
    def data_wait_share(self) -> float:
        """Of the seconds of steps and of waiting for them."""
        return self.waiting_s / max(1e-9, self.waiting_s + self.working_s)
