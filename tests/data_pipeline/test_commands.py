"""The commands that messages name, as they can be pasted."""

import shlex

import pytest

from data_pipeline.commands import command


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        ("train_main.py", "python synthesize.py"),
        ("/opt/goya/train_main.py", "python /opt/goya/synthesize.py"),
        ("/venv/bin/goya-train", "goya-say"),
        ("/venv/bin/goya-check", "goya-say"),
        ("/venv/bin/pytest", "python synthesize.py"),
    ],
)
def test_the_next_command_is_of_the_kind_that_was_called(monkeypatch, called, expected):
    monkeypatch.setattr("sys.argv", [called])
    told = command("synthesize.py", "my run", "--text", "It's done.")
    assert told.startswith(f"{expected} ")
    assert shlex.split(told) == [*expected.split(), "my run", "--text", "It's done."]


def test_checking_and_training_have_commands_of_their_own(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/venv/bin/goya-check"])
    assert command("train_main.py", "--train-data", "a", "--check-data") == "goya-check --train-data a"
    assert command("train_main.py", "--seed", "1", by="accelerate launch") == "goya-train --seed 1"
    monkeypatch.setattr("sys.argv", ["train_main.py"])
    assert command("train_main.py", "--check-data") == "python train_main.py --check-data"
    assert command("train_main.py", by="accelerate launch") == "accelerate launch train_main.py"
