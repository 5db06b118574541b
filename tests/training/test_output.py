"""A run outlasts what it prints to."""

import os
import sys

import pytest

from tests.small_runs import newest, train
from training.output import lasting_output


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
