"""The schedules against closed forms written independently."""

import math

import pytest

from training.loop.schedule import cosine_restarts, noam, warmup


def test_warmup_is_a_straight_line_to_one():
    assert [warmup(step, 4) for step in range(1, 7)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert warmup(1, 0) == warmup(1, 1) == 1.0


@pytest.mark.parametrize("step", [1, 7, 1999, 2000, 2001, 50_000])
def test_noam_is_the_paper_s(step):
    """Vaswani et al. 2017, equation 3, over its value at the end of the warm-up."""

    def paper(step: int, d: int = 512, warmup_steps: int = 2000) -> float:
        return d**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)

    assert noam(step, 2000) == pytest.approx(paper(step) / paper(2000))


def test_noam_without_warm_up_starts_at_the_peak():
    assert [noam(step, 0) for step in (1, 4, 16)] == pytest.approx([1, 0.5, 0.25])


def restarts(step: int, warm: int, period: int, decay: float) -> float:
    """SGDR in closed form for periods that double: restart i begins at period (2^i - 1) after the warm-up."""
    if step <= warm:
        return step / warm
    done = step - warm
    index = math.ceil(math.log2(done / period + 1)) - 1
    within = (done - period * (2**index - 1)) / (period * 2**index)
    return decay**index * (1 + math.cos(math.pi * within)) / 2


def test_cosine_restarts_are_those_of_the_paper():
    for step in range(1, 400):
        assert cosine_restarts(step, 10, 30, 0.8) == pytest.approx(restarts(step, 10, 30, 0.8), abs=1e-12), step


def test_each_peak_is_a_share_of_the_last_and_each_period_ends_at_nothing():
    warm, period = 10, 30
    assert cosine_restarts(warm, warm, period, 0.8) == 1.0
    for index, end in enumerate((40, 100, 220)):
        assert cosine_restarts(end, warm, period, 0.8) == pytest.approx(0, abs=1e-12)
        assert cosine_restarts(end + 1, warm, period, 0.8) == pytest.approx(0.8 ** (index + 1), rel=0.01)
