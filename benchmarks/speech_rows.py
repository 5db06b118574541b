"""Rows of speech with the demo corpus' columns: what the corpora that cloning.py trains on are made of."""

import io
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

DEMO = Path(__file__).resolve().parents[1] / "assets" / "demo_corpus"
sys.path.insert(0, str(DEMO))  # whose builder is a script beside its own modules

from choose_heldout import hash_order  # noqa: E402, F401

PEAK = 0.7  # of each recording: some speakers' are louder


def write(out: Path, kind: str, training: list[dict], heldout: list[dict] | None = None) -> None:
    """train-KIND.parquet and, where any are held out, heldout-KIND.parquet, with the demo corpus' columns."""
    out.mkdir(parents=True, exist_ok=True)
    schema = pq.read_schema(DEMO / "heldout.parquet")
    for name, rows in (("train", training), ("heldout", heldout)):
        if rows is not None:
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), out / f"{name}-{kind}.parquet", row_group_size=64)


def as_loud(wave_N: np.ndarray, rate_hz: int) -> dict:
    """A row's audio: the wave, which is not silent, at the peak that all of them have."""
    file = io.BytesIO()
    soundfile.write(file, wave_N * (PEAK / abs(wave_N).max()), rate_hz, format="FLAC")
    return {"bytes": file.getvalue(), "path": None}
