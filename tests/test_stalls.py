"""A data source that stalls, through the front door: exit code 2, a message, and no process left."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from testing import small_runs
from testing.small_runs import SMALL, launch

pytestmark = pytest.mark.slow


def write_jsonl(folder: Path) -> str:
    """The corpus itself is a pipe that nobody writes to."""
    os.mkfifo(folder / "corpus.jsonl")
    return str(folder / "corpus.jsonl")


def write_archives(folder: Path) -> str:
    """One archive is whole, the other a pipe: found while training, by a thread that reads it beside the first."""
    with tarfile.open(folder / "train-0.tar", "w") as archive:
        for row in small_runs.rows():
            content = {"wav": row["audio"]["bytes"], "json": json.dumps({"text": row["text"]}).encode()}
            for ending, data in content.items():
                info = tarfile.TarInfo(f"{row['id'].replace('/', '-')}.{ending}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    os.mkfifo(folder / "train-1.tar")
    return str(folder)


def processes_with(marker: str) -> list[str]:
    """Command lines of the processes that inherited a variable of this value (Linux)."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            if marker.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue  # it has ended, or is another user's
    return found


@pytest.mark.parametrize("write", [write_jsonl, write_archives])
def test_a_stall_ends_the_run(write, tmp_path, monkeypatch):
    monkeypatch.setenv("STALL_TEST", f"marked {tmp_path}")
    data = ["--train-data", write(tmp_path), "--val-data", small_runs.corpus(), "--checkpoint-dir", tmp_path / "run"]
    more = ["--set", "data.stall_minutes=0.02", "--num-workers", "1"]
    done = launch(small_runs.ROOT / "train_main.py", *data, *SMALL, *more)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr
    assert f"error: No data came for 0.02 minutes (data.stall_minutes) from {data[1]} (" in done.stderr
    assert processes_with(f"marked {tmp_path}") == []
