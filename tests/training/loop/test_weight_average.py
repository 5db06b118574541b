"""The moving average of the weights: its formula, and that it is what is evaluated and shipped."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from callbacks.ema import Ema
from testing.small_runs import newest, scalars, train
from training.loop.weight_average import WeightAverage

pytestmark = pytest.mark.slow


def test_it_is_the_published_sum():
    """Against the sum written out in float64: each step's weights times what later steps leave of them."""
    model = torch.nn.Linear(3, 2)
    average, history, decay = WeightAverage(model, 0.7), [model.weight.detach().double().clone()], 0.7
    for step in range(1, 30):
        with torch.no_grad():
            model.weight.add_(torch.randn_like(model.weight))
        average.update(step)
        history.append(model.weight.detach().double().clone())
    decays = [min(decay, (1 + step) / (10 + step)) for step in range(1, 30)]
    expected = torch.zeros_like(history[0])
    for step, weights in enumerate(history):
        share = 1.0 if step == 0 else 1 - decays[step - 1]
        expected += weights * share * torch.tensor(decays[step:], dtype=torch.float64).prod()
    assert torch.allclose(average.weights["weight"].double(), expected, atol=1e-6)


def test_in_place_and_back():
    model = torch.nn.Linear(3, 2)
    average = WeightAverage(model, 0.9)
    own = model.weight.detach().clone()
    average.weights["weight"].fill_(7.0)
    with pytest.raises(RuntimeError), average.in_place():
        assert (model.weight == 7.0).all()
        raise RuntimeError
    assert torch.equal(model.weight, own) and (average.weights["weight"] == 7.0).all()


def test_the_average_is_evaluated_and_shipped(tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["--max-steps", "3", "--set", "train.eval_every=3", "--set", "train.ema_decay=0.5"]
    assert train(run, *arguments) == 0
    average = {name.removeprefix("average."): w for name, w in load_file(newest(run) / "average.safetensors").items()}
    best, trained = load_file(run / "best" / "model.safetensors"), load_file(newest(run) / "model.safetensors")
    assert all(torch.equal(best[name], average[name]) for name in average)
    assert any(not torch.equal(best[name], trained[name]) for name in average)
    plain = tmp_path / "plain"
    assert train(plain, *arguments[:4]) == 0
    assert scalars(plain)["loss"] == scalars(run)["loss"]  # training is not touched by it
    assert scalars(plain)["eval_mel"] != scalars(run)["eval_mel"]


def test_an_average_that_is_asked_for_later_starts_from_the_weights(tmp_path):
    run = tmp_path / "run"
    assert train(run, "--max-steps", "2") == 0
    weights = load_file(newest(run) / "model.safetensors")
    seen = {}

    class Look(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            seen.update(state=state.global_step)

    assert train(run, "--max-steps", "3", "--set", "train.ema_decay=0.999", callbacks=[Look()]) == 0
    assert seen["state"] == 2
    after = load_file(newest(run) / "model.safetensors")
    share = 1 - (1 + 3) / (10 + 3)
    average = load_file(newest(run) / "average.safetensors")
    for name, weight in weights.items():
        expected = weight + share * (after[name] - weight)
        assert torch.allclose(average["average." + name], expected, atol=1e-6), name
    assert json.loads((newest(run) / "training_state.json").read_text())["trainer"]["global_step"] == 3


def test_the_callback_updates_it():
    model = torch.nn.Linear(1, 1)
    average = WeightAverage(model, 0.9)
    with torch.no_grad():
        model.weight.add_(1.0)
    before = average.weights["weight"].clone()
    state = type("State", (), {"global_step": 1})
    Ema(average).on_step_end(None, state, None)
    assert torch.allclose(average.weights["weight"], before + (1 - 2 / 11))
