"""The look at a corpus before training waits for a recording no longer than training would."""

import os

import pytest

from data_pipeline.batching.stall_watchdog import Stalled
from evaluation.data_check.check import brief
from testing import small_runs
from training.config.arguments import parse
from training.setup.inputs import build_inputs


def test_a_recording_that_does_not_come_ends_the_first_look(tmp_path, monkeypatch):
    """As on a network disk that has gone: opening a pipe waits for a writer."""
    os.mkfifo(tmp_path / "pipe")
    words = f"--train-data {small_runs.corpus()} --device cpu --num-workers 0 --set data.stall_minutes=0.005"
    config, provenance, _ = parse(words.split())
    inputs = build_inputs(config, frames_per_step=2, rank=0, world_size=1)
    monkeypatch.setattr("evaluation.data_check.survey.read_samples", lambda *_, **__: open(tmp_path / "pipe"))
    with pytest.raises(Stalled, match="recordings decoded"):
        brief(config, provenance, inputs)
