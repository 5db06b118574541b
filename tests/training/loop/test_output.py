"""A run outlasts what it prints to."""

import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from testing.small_runs import corpus, newest, train
from testing.small_runs import rows as rows_of_corpus
from training.loop.output import lasting_output

pytestmark = pytest.mark.slow


def broken_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


def closed(tmp_path):
    file = open(tmp_path / "closed.txt", "w")
    file.close()
    return file


@pytest.mark.parametrize("kind", ["full", "pipe", "closed", "none"])
def test_what_cannot_be_printed_is_dropped_and_said_once(kind, tmp_path, capsys, monkeypatch):
    made = {"full": lambda: open("/dev/full", "w"), "pipe": broken_pipe, "closed": lambda: closed(tmp_path)}
    monkeypatch.setattr(sys, "stdout", made.get(kind, lambda: None)())
    with lasting_output():
        for number in range(3):
            print(number, flush=True)
            sys.stdout.write("more\n")
    said = capsys.readouterr().err
    assert said.count("Standard output cannot be written") == (kind != "none")


def test_a_run_whose_output_is_full_trains_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", open("/dev/full", "w"))
    assert train(tmp_path / "run", "--max-steps", "2") == 0
    assert newest(tmp_path / "run").name == "step-00000002"
    monkeypatch.setattr(sys, "stdout", broken_pipe())
    assert train(tmp_path / "run", "--max-steps", "3") == 0
    assert newest(tmp_path / "run").name == "step-00000003"


def test_letters_that_a_terminal_lacks_are_written_as_numbers(monkeypatch):
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", latin)
    with lasting_output():
        print("à мир \udcff")
        print("more")
    latin.flush()
    assert latin.buffer.getvalue() == b"\xe0 \\u043c\\u0438\\u0440 \\udcff\nmore\n"


@pytest.fixture
def odd(tmp_path) -> str:
    """A folder whose name is not UTF-8."""
    name = os.fsdecode(os.fsencode(tmp_path) + b"/corpus\xff")
    os.mkdir(name)
    return name


def test_a_corpus_whose_name_is_not_utf_8_is_trained_on(odd, tmp_path, capfd):
    rows = rows_of_corpus()[:12]
    for number, row in enumerate(rows):
        Path(odd, f"{number}.wav").write_bytes(row["audio"]["bytes"])
    lines = [f"{number}.wav,{row['text'].replace(',', ' ')}" for number, row in enumerate(rows)]
    Path(odd, "metadata.csv").write_text("\n".join(["file_name,text", *lines]) + "\n")
    for steps in ("1", "2"):
        assert train(tmp_path / "run", "--train-data", odd, "--language", "en", "--max-steps", steps) == 0
    assert json.loads((tmp_path / "run" / "report.json").read_text())["config"]["data"]["train_data"] == odd
    assert "cannot be written" not in capfd.readouterr().err


def test_a_parquet_file_whose_name_is_not_utf_8_is_one_message(odd, tmp_path, capsys):
    shutil.copytree(corpus(), odd, dirs_exist_ok=True)
    assert train(tmp_path / "run", "--train-data", odd, "--max-steps", "1") == 2
    said = capsys.readouterr().err
    assert "is not UTF-8" in said and "ename it" in said and "Traceback" not in said
