"""The number of rows of a corpus, however it is kept."""

import os
from types import SimpleNamespace

import pytest

from data_pipeline.reading.row_count import row_count
from data_pipeline.reading.sources import open_source
from testing import small_runs


def test_parquet_says_it():
    assert row_count(small_runs.source()) == small_runs.ROWS


@pytest.mark.parametrize("end", ["csv", "jsonl"])
def test_tables_are_counted_by_their_lines(tmp_path, end):
    row = '{"file": "%d.wav", "text": "one two"}' if end == "jsonl" else "%d.wav|one two"
    (tmp_path / f"rows.{end}").write_text("".join(row % number + "\n" for number in range(50)))
    assert row_count(open_source(str(tmp_path / f"rows.{end}"))) == 50


def test_what_takes_too_long_is_not_known():
    assert row_count(small_runs.source(), within_s=-1.0) is None


def test_a_pipe_is_not_counted_as_its_rows_come_once(tmp_path):
    os.mkfifo(tmp_path / "rows.jsonl")
    source = SimpleNamespace(opened=SimpleNamespace(paths=(str(tmp_path / "rows.jsonl"),)))
    assert row_count(source) is None
