"""Corpora of more speech beside the demo corpus, in rows with its columns."""

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from benchmarks.harness.places import DEMO

PEAK = 0.7  # of each recording: some speakers' are louder


def write(out: Path, kind: str, training: list[dict], heldout: list[dict] | None = None) -> None:
    """train-KIND.parquet and, where any are held out, heldout-KIND.parquet, with the demo corpus' columns."""
    out.mkdir(parents=True, exist_ok=True)
    schema = pq.read_schema(DEMO / "heldout.parquet")
    for name, rows in (("train", training), ("heldout", heldout)):
        if rows is not None:
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), out / f"{name}-{kind}.parquet", row_group_size=64)


@contextmanager
def beside_the_demo_corpus(out: Path) -> Iterator[Path]:
    """A folder with the demo corpus, to write more into, which becomes `out`: whole, or not there at all."""
    scratch = out.with_name(out.name + ".part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for file in DEMO.glob("*.parquet"):
        shutil.copy(file, scratch)
    yield scratch
    scratch.rename(out)


def as_loud(wave_N: np.ndarray, rate_hz: int) -> dict:
    """A row's audio: the wave, which is not silent, at the peak that all of them have."""
    file = io.BytesIO()
    soundfile.write(file, wave_N * (PEAK / abs(wave_N).max()), rate_hz, format="FLAC")
    return {"bytes": file.getvalue(), "path": None}
