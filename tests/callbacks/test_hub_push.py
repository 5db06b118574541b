"""What is pushed when, by a clock that the test sets; whole runs are in tests/hub."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from callbacks.hub_push import HubPush
from training.config.fields import RunConfig, with_values


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def made(folder: Path, quality=None) -> tuple[HubPush, list]:
    """The callback, whose models are their facts, and what it has offered to be pushed."""
    values = {"checkpoint.dir": str(folder), "hub.push_to_hub": "ann/voice", "hub.state_every_minutes": 2.0}
    model = torch.nn.Linear(2, 3)
    model.config = SimpleNamespace(voices={"ann": [0.0]})
    trainer = SimpleNamespace(
        config=with_values(RunConfig(), values),
        raw_model=model,
        accelerator=SimpleNamespace(device=torch.device("cpu")),
        length=SimpleNamespace(elapsed_s=9.0),
        arguments=SimpleNamespace(metric_for_best_model="eval_mel"),
    )
    offered = []
    callback = HubPush(trainer, SimpleNamespace(offer=offered.append), quality)
    callback.data, callback.folders.model = None, lambda facts, curves: facts
    return callback, offered


def state(step: int, best: int | None = None) -> SimpleNamespace:
    return SimpleNamespace(global_step=step, best_global_step=best)


def test_training_state_is_pushed_no_oftener_than_that(clock, tmp_path):
    callback, offered = made(tmp_path)
    for step, now in ((5, 1119.0), (6, 1120.0), (7, 1239.0), (8, 1250.0)):
        checkpoint = tmp_path / "checkpoints" / f"step-{step:08d}"
        checkpoint.mkdir(parents=True)
        clock.now = now
        callback.on_save(None, state(step), None, checkpoint=checkpoint)
    assert [push.title for push in offered] == [f"Training state at step-0000000{step}" for step in (6, 8)]


def test_a_better_model_is_pushed_once_with_the_figures_of_its_evaluation(clock, tmp_path):
    quality = SimpleNamespace(judged_at=6, figures={"cer": 0.25})
    callback, offered = made(tmp_path, quality)
    for step, mel in ((3, 0.9), (6, 0.5), (9, 0.7)):
        callback.on_evaluate(None, state(step), None, metrics={"eval_mel": mel, "epoch": 1})
        for later in (step, step + 1):
            callback.on_step_begin(None, state(later, best=min(step, 6)), None)
    figures = [facts.evaluation for facts in offered]
    assert figures == [{"eval_mel": 0.9, "step": 3}, {"eval_mel": 0.5, "cer": 0.25, "step": 6}]
    assert offered[0].parameters == 9 and offered[0].voices == ["ann"]


def test_curves_are_of_what_is_drawn(clock, tmp_path):
    callback, _ = made(tmp_path)
    callback.on_log(None, state(4), None, logs={"loss/mel": 0.5, "frames_per_s": 9.0})
    callback.on_log(None, state(8), None, logs={"loss/mel": 0.25})
    assert callback.state()["attributes"]["curves"] == {"loss/mel": [[4, 0.5], [8, 0.25]]}
