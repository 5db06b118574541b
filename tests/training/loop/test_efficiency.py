"""What training/loop/efficiency.py counts, on a clock that is moved by hand."""

from types import SimpleNamespace

import pytest

import training.loop.efficiency
from training.loop.efficiency import EfficiencyMeter


def test_only_what_lies_between_a_step_and_the_next_ones_data_is_waiting(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(training.loop.efficiency, "time", SimpleNamespace(monotonic=lambda: clock.now))
    efficiency = EfficiencyMeter()
    # (seconds until the data is there, of the step, of an evaluation after it)
    for wait_s, step_s, after_s in ((7.0, 2.0, 0.0), (0.5, 2.0, 30.0), (1.5, 4.0, 0.0)):
        clock.now += wait_s
        efficiency.begin_step()
        clock.now += step_s
        efficiency.end_step([SimpleNamespace(padded_share=0.1), SimpleNamespace(padded_share=0.3)])
        clock.now += after_s
        efficiency.want_data()
    # The first batch is waited for while everything starts.
    assert (efficiency.waiting_s, efficiency.working_s) == (0.5 + 1.5, 2.0 + 2.0 + 4.0)
    assert efficiency.data_wait_share == pytest.approx(2 / 10)
    assert efficiency.padded_share == pytest.approx(0.2) and efficiency.batches == 6


def test_nothing_is_wasted_before_the_first_step():
    assert (EfficiencyMeter().padded_share, EfficiencyMeter().data_wait_share) == (0.0, 0.0)
