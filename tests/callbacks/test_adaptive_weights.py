"""Weights that follow how fast each loss falls: Liu, Johns and Davison 2019, equation 7, and its bounds."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from callbacks.adaptive_weights import AdaptiveWeights
from training.loop.step import LossWeights

BASE = {"mel": 22.0, "stop": 1.5, "kl": 1.8, "alignment": 0.3}


def feed(curve: list[dict], smoothing: float = 1.0, every_steps: int = 10, callback=None, first: int = 1):
    """The callback after a run over `curve`, and the weights of each step."""
    callback = callback or AdaptiveWeights(LossWeights({}), lambda state: BASE, smoothing, every_steps)
    used = []
    for step, losses in enumerate(curve, start=first):
        callback.on_step_begin(None, SimpleNamespace(global_step=step - 1), None)
        used.append(dict(callback.weights.values))
        callback.on_step_end(None, SimpleNamespace(global_step=step), None, losses=losses)
    return callback, used


def falling(steps: int, **rates: float) -> list[dict]:
    return [{name: 3.0 * rates.get(name, 1.0) ** step for name in BASE} for step in range(steps)]


def test_the_level_s_weights_hold_until_there_is_something_to_compare():
    _, used = feed(falling(20, mel=0.9))
    assert used == [BASE] * 20


def test_multipliers_are_those_of_the_paper():
    rates = {"mel": 0.99, "stop": 0.97, "kl": 1.01, "alignment": 0.9}
    _, used = feed([*falling(20, **rates), *falling(1)])
    ratio = np.array([rates[name] ** 10 for name in BASE])  # w_k: L(t - 1) / L(t - 2)
    expected = len(BASE) * np.exp(ratio / 2) / np.exp(ratio / 2).sum()  # T = 2
    assert [used[-1][name] / BASE[name] for name in BASE] == pytest.approx(expected)
    assert used[-1]["kl"] > BASE["kl"] and used[-1]["alignment"] < BASE["alignment"]  # the slower weighs more


@pytest.mark.parametrize("jump", [1e-9, 30.0, 1e30])
def test_multipliers_stay_within_half_and_double(jump):
    curve = [dict.fromkeys(BASE, 1.0)] * 10 + [dict.fromkeys(BASE, 1.0) | {"stop": jump}] * 11
    callback, used = feed(curve)
    factors = {name: used[-1][name] / BASE[name] for name in BASE}
    assert all(0.5 <= factor <= 2.0 for factor in factors.values())
    if jump > 1:
        assert factors["stop"] == 2.0 and factors["mel"] == 0.5


def test_a_loss_that_stays_nothing_has_fallen():
    _, used = feed([dict.fromkeys(BASE, 1.0) | {"kl": 0.0}] * 21)
    power = np.exp([1 / 2, 1 / 2, 0.0, 1 / 2])
    assert [used[-1][name] / BASE[name] for name in BASE] == pytest.approx(len(BASE) * power / power.sum())


def test_losses_are_smoothed():
    callback, _ = feed([dict.fromkeys(BASE, 1.0), dict.fromkeys(BASE, 2.0)], smoothing=0.08)
    assert callback.means == pytest.approx(dict.fromkeys(BASE, 1.08))


def test_a_loss_that_is_not_a_number_is_not_learned_from():
    callback, _ = feed([dict.fromkeys(BASE, 1.0), dict.fromkeys(BASE, float("nan"))])
    assert callback.means == dict.fromkeys(BASE, 1.0)


def test_a_schedule_of_the_level_goes_on_underneath():
    callback = AdaptiveWeights(LossWeights({}), lambda state: {"mel": 1.0 + state.global_step}, 1.0, 10)
    callback.multipliers = {"mel": 1.5}
    callback.on_step_begin(None, SimpleNamespace(global_step=3), None)
    assert callback.weights.values == {"mel": 6.0}


def test_its_state_goes_on_where_it_was():
    curve = falling(45, mel=0.99, stop=0.95)
    whole, used = feed(curve)
    first, _ = feed(curve[:23])
    resumed = AdaptiveWeights(LossWeights({}), lambda state: BASE, 1.0, 10)
    for name, value in json.loads(json.dumps(first.state()["attributes"])).items():
        setattr(resumed, name, value)
    resumed, rest = feed(curve[23:], callback=resumed, first=24)
    assert rest == used[23:] and resumed.state() == whole.state()
