"""Memory and pace of the data plan on a corpus of 10 million rows: python -m benchmarks.speed.plan_memory

The rows are made up and share one recording, so that what is measured is the plan: one epoch as rank 0 of 8 sees it,
a hundredth of the rows broken, the process' resident memory on the way, and a resume in the middle, whose first batch
has to be the one that followed there. Prints one table and writes benchmarks/results/plan_memory.json.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import datasets
import numpy as np

from benchmarks.harness.places import RESULTS
from benchmarks.harness.provenance import origin
from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.plan import Limits, Plan, PlannedBatch
from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import AudioConfig
from data_pipeline.utterance import Samples, Utterance

RATE_HZ = 4_000
ZEROS = np.zeros(12 * RATE_HZ, dtype=np.float32)
SHARES = (0.01, 0.1, 0.5, 1.0)  # of the epoch, at which memory is read
OUT = RESULTS / "plan_memory.json"


class MadeUp:
    """Rows of 1 to 11 s; every hundredth is broken."""

    def __init__(self, count: int):
        self.count = count

    def _make(self):
        for number in range(self.count):
            yield {"id": f"speaker/{number:010d}", "number": number}

    def rows(self) -> datasets.IterableDataset:
        return datasets.IterableDataset.from_generator(self._make)

    def to_utterance(self, row: dict) -> Utterance:
        if row["number"] % 100 == 7:
            raise UserError(f"Row {row['id']} has no text in its column 'text'; expected a transcript.")
        samples = RATE_HZ + row["number"] * 7919 % (10 * RATE_HZ)
        return Utterance(row["id"], "A sentence that nobody speaks.", Samples(ZEROS[:samples], RATE_HZ))


def resident_mb() -> float:
    """Of this process, now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def made_up_plan(rows: int) -> Plan:
    return Plan(MadeUp(rows), AudioConfig(), Limits(16, 16_000, pool_batches=16), world_size=8)


def measure(rows: int) -> tuple[dict, Cursor, PlannedBatch]:
    """One epoch's figures; the cursor in its middle, and the batch behind that."""
    plan, figures, waiting = made_up_plan(rows), {}, list(SHARES[:-1])
    middle, then = None, None
    started = time.perf_counter()
    for batch in plan.epoch(plan.start(0)):
        if middle is not None and then is None:
            then = batch
        if batch.ends_step and middle is None and batch.after.rows >= rows / 2:
            middle = batch.after
        if waiting and batch.after.rows >= waiting[0] * rows:
            figures[f"resident_mb_at_{waiting.pop(0):.0%}"] = resident_mb()
    seconds = time.perf_counter() - started
    figures[f"resident_mb_at_{SHARES[-1]:.0%}"] = resident_mb()
    figures |= {"rows": plan.row_stats.seen, "broken_rows": plan.row_stats.broken_rows, "rows_per_s": rows / seconds}
    return figures, middle, then


def resume(rows: int, middle: Cursor, then: PlannedBatch) -> dict:
    """The seconds to the first batch from the middle on; whether it is the right one."""
    started = time.perf_counter()
    first = next(made_up_plan(rows).epoch(middle))
    seconds = time.perf_counter() - started
    right = [one.id for one in first.entries] == [one.id for one in then.entries] and first.after == then.after
    return {"rows_skipped": middle.rows, "resume_s": seconds, "resume_rows_per_s": middle.rows / seconds,
            "resumed_at_the_right_batch": right}  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--rows", type=int, default=10_000_000, help="(default: %(default)s)")
    parser.add_argument("--out", default=str(OUT), help="the json to write (default: %(default)s)")
    arguments = parser.parse_args(argv)
    start_mb = resident_mb()
    figures, middle, then = measure(arguments.rows)
    figures = {"resident_mb_at_the_start": start_mb} | figures | resume(arguments.rows, middle, then)
    result = origin() | {"figures": figures}
    Path(arguments.out).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for name, value in figures.items():
        shown = f"{value:,.1f}" if isinstance(value, float) else str(value)
        print(f"{name.replace('_', ' '):<32}{shown:>14}")
    return 0 if figures["resumed_at_the_right_batch"] else 1


if __name__ == "__main__":
    sys.exit(main())
