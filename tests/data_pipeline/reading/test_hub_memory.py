"""A dataset of the Hub takes the memory of a few rows, not of its files."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

ROOT = Path(__file__).parents[3]
ROW_MB, ROWS, GROUP = 1, 160, 8
READ = """
import json, resource, sys
from data_pipeline.reading.columns import ColumnNames
from data_pipeline.reading.request import Request
from data_pipeline.reading.sources import stream_dataset

where, first, marks = sys.argv[1], int(sys.argv[2]), []
for row in stream_dataset(where, Request(where, ColumnNames(), None, "train", None)).stream():
    marks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print(json.dumps({"rows": len(marks), "grown_mb": marks[-1] - marks[first]}))
"""


def test_reading_a_parquet_file_of_the_hub_takes_no_more_memory_towards_its_end(tmp_path):
    draw, writer = np.random.default_rng(0), None
    for first in range(0, ROWS, GROUP):
        sounds = [{"bytes": draw.bytes(ROW_MB * 2**20), "path": None} for _ in range(GROUP)]
        table = pyarrow.table({"text": [f"row {first + number}" for number in range(GROUP)], "audio": sounds})
        writer = writer or pyarrow.parquet.ParquetWriter(tmp_path / "train-00000-of-00001.parquet", table.schema)
        writer.write_table(table)
    writer.close()
    command = [sys.executable, "-c", READ, str(tmp_path), str(2 * GROUP)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["rows"] == ROWS
    assert found["grown_mb"] < ROWS * ROW_MB / 3  # all of what is left, before
