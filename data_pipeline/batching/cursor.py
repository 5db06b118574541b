"""How far the data has come: what the plan, its stats_by_epoch and a checkpoint count from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place between two batches. `group` is kept with it so that a resumed epoch goes on in the order it began."""

    epoch: int = 0
    rows: int = 0  # source rows read before the current pool
    batch: int = 0  # batches of the current pool already taken, by all ranks together
    group: int = 1  # batches of similar length that stay together: the number of ranks when the epoch began
