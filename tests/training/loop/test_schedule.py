"""The schedules against closed forms written independently."""

import math

import pytest

from training.config.fields import OptimConfig
from training.loop.schedule import constant, cosine_restarts, noam


def warm(steps: int) -> OptimConfig:
    return OptimConfig(warmup_steps=steps)


def test_warmup_is_a_straight_line_to_one():
    assert [constant(step, warm(4)) for step in range(1, 7)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert constant(1, warm(0)) == constant(1, warm(1)) == 1.0


@pytest.mark.parametrize("step", [1, 7, 1999, 2000, 2001, 50_000])
def test_noam_is_the_paper_s(step):
    """Vaswani et al. 2017, equation 3, over its value at the end of the warm-up."""

    def paper(step: int, d: int = 512, warmup_steps: int = 2000) -> float:
        return d**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)

    assert noam(step, warm(2000)) == pytest.approx(paper(step) / paper(2000))


def test_noam_without_warm_up_starts_at_the_peak():
    assert [noam(step, warm(0)) for step in (1, 4, 16)] == pytest.approx([1, 0.5, 0.25])


def restarts(step: int, optim: OptimConfig) -> float:
    """SGDR in closed form: restart i begins at period (g^i - 1) / (g - 1) after the warm-up, for growth g."""
    if step <= optim.warmup_steps:
        return step / optim.warmup_steps
    done, period, growth = step - optim.warmup_steps, optim.first_period_steps, optim.period_growth
    index = math.ceil(math.log(done / period * (growth - 1) + 1, growth) - 1e-9) - 1
    within = (done - period * (growth**index - 1) / (growth - 1)) / (period * growth**index)
    return optim.restart_decay**index * (1 + math.cos(math.pi * within)) / 2


@pytest.mark.parametrize("growth", [2.0, 3.0, 1.5])
def test_cosine_restarts_are_those_of_the_paper(growth):
    optim = OptimConfig(warmup_steps=10, first_period_steps=30, restart_decay=0.8, period_growth=growth)
    for step in range(1, 400):
        assert cosine_restarts(step, optim) == pytest.approx(restarts(step, optim), abs=1e-9), step


def test_periods_double_where_nothing_is_said():
    assert OptimConfig().period_growth == 2.0


def test_each_peak_is_a_share_of_the_last_and_each_period_ends_at_nothing():
    optim = OptimConfig(warmup_steps=10, first_period_steps=30, restart_decay=0.8)
    assert cosine_restarts(10, optim) == 1.0
    for index, end in enumerate((40, 100, 220)):
        assert cosine_restarts(end, optim) == pytest.approx(0, abs=1e-12)
        assert cosine_restarts(end + 1, optim) == pytest.approx(0.8 ** (index + 1), rel=0.01)
