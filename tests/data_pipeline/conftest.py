"""Real recordings for the tests of the data pipeline: the first held-out ones of the embedded corpus."""

from pathlib import Path

import pyarrow.parquet
import pytest

HELDOUT = Path(__file__).parents[2] / "assets" / "demo_corpus" / "heldout.parquet"


@pytest.fixture(scope="session")
def recordings() -> list[dict]:
    """Ten rows with id, text, audio {bytes, path}, speaker, language and duration_s."""
    return pyarrow.parquet.read_table(HELDOUT).slice(0, 10).to_pylist()
