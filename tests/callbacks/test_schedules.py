"""The callbacks that set rates and loss weights before each step."""

from types import SimpleNamespace

import pytest
import torch

from callbacks.rate_schedule import RateSchedule
from callbacks.weight_schedule import WeightSchedule
from training.config.fields import OptimConfig
from training.loop.schedule import SCHEDULES, constant
from training.loop.step import LossWeights

OPTIM = OptimConfig(warmup_steps=10, first_period_steps=30, restart_decay=0.6, lr_floor=1e-5)


def rates(callback, steps: int) -> list[tuple[float, float]]:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.0, "peak_lr": peak} for peak in (1e-3, 1e-4)]
    optimizer = torch.optim.AdamW(groups)
    found = []
    for step in range(steps):
        callback.on_step_begin(None, SimpleNamespace(global_step=step), None, optimizer=optimizer)
        found.append(tuple(group["lr"] for group in optimizer.param_groups))
    return found


@pytest.mark.parametrize("name", SCHEDULES)
def test_each_group_gets_its_own_peak_times_the_schedule_and_no_less_than_the_floor(name):
    found = rates(RateSchedule(SCHEDULES[name], lambda: OPTIM), 120)
    for place, peak in enumerate((1e-3, 1e-4)):
        expected = [max(1e-5, peak * SCHEDULES[name](step, OPTIM)) for step in range(1, 121)]
        assert [rate[place] for rate in found] == pytest.approx(expected)
    assert found[0] == pytest.approx((1e-4, 1e-5)) and found[9] == pytest.approx((1e-3, 1e-4))


def test_the_fit_to_the_run_s_length_is_asked_for_at_every_step():
    lengths = iter([OPTIM] * 5 + [OptimConfig(warmup_steps=2)] * 5)
    assert [rate for rate, _ in rates(RateSchedule(constant, lambda: next(lengths)), 10)] == pytest.approx(
        [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, *[1e-3] * 5]
    )


def test_loss_weights_follow_the_step():
    weights = LossWeights({})
    callback = WeightSchedule(weights, lambda state: {"mel": 1.0, "alignment": 1.0 / (1 + state.global_step)})
    callback.on_step_begin(None, SimpleNamespace(global_step=3), None)
    assert weights.values == {"mel": 1.0, "alignment": 0.25}
