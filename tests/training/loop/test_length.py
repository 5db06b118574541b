"""The run's length from a clock that the test sets."""

import pytest

from data_pipeline.batching.cursor import Cursor
from training.config.fields import RunConfig, with_values
from training.loop.length import UNKNOWN_LENGTH, Ahead, RunLength


@pytest.fixture
def length(monkeypatch) -> RunLength:
    monkeypatch.setattr("training.loop.length.time.monotonic", lambda: 0.0)
    one = RunLength(with_values(RunConfig(), {"train.max_minutes": 10.0, "train.epochs": 4}), {}, OneProcess())
    one.before_s = 30.0
    one.note_step(1)
    return one


class OneProcess:
    num_processes, device = 1, "cpu"


def test_steps_in_a_budget_follow_the_pace_after_the_first_step(length):
    assert length.steps_in(100, step=1) == UNKNOWN_LENGTH  # no pace yet
    length.before_s = 50.0
    assert length.steps_in(100, step=11) == 11 + 25  # 2 s a step, 50 s left
    length.before_s = 100.0
    assert length.steps_in(100, step=11) == 11


def test_whichever_limit_comes_first_ends_the_run(length):
    length.before_s = 50.0
    assert length.estimate(step=11, epoch=0) == 11 + 275
    length.steps_per_epoch = 20
    assert length.estimate(step=11, epoch=0) == 80
    assert length.estimate(step=77, epoch=4) == 77


def test_the_schedule_is_fitted_to_the_length(length):
    length.before_s = 50.0
    length.estimate(step=11, epoch=0)
    assert length.optim.warmup_steps == 28  # a tenth of 286


def test_a_run_of_epochs_tells_its_end_by_what_is_read_of_the_first(length):
    config = with_values(length.config, {"train.max_minutes": None, "train.batch_size": 4})
    one = RunLength(config, {}, OneProcess())
    # 25 of 100 rows after 3 steps: 12 an epoch, of which there are 4.
    assert one.ahead(3, UNKNOWN_LENGTH, Cursor(rows=5, batch=5), rows=100) == Ahead(48, None, roughly=True)
    assert one.ahead(3, UNKNOWN_LENGTH, Cursor(), rows=100).steps is None
    assert one.ahead(3, UNKNOWN_LENGTH, Cursor(rows=5, batch=5), rows=None).steps is None
    assert one.ahead(3, 60, Cursor(), rows=None) == Ahead(60)  # an epoch has ended


def test_a_run_of_minutes_tells_what_is_left_of_them(length):
    assert length.ahead(1, UNKNOWN_LENGTH, Cursor(), rows=None).most_s == 570.0
    length.before_s = 700.0
    assert length.ahead(5, 5, Cursor(), rows=None) == Ahead(5, 0.0)


def test_a_resumed_run_keeps_its_clock(length):
    length.steps_per_epoch = 20
    again = RunLength(length.config, {}, OneProcess())
    again.restore(length.to_json(400))
    assert (again.elapsed_s, again.steps_per_epoch) == (30.0, 20)


def test_an_estimate_of_epochs_never_ends_an_epoch_that_is_longer(length):
    length.config = with_values(RunConfig(), {"train.epochs": 3})
    length.end_epoch(20)
    assert length.estimate(step=20, epoch=1) == 60 and length.is_guessed
    length.end_epoch(43)  # three more than the one before
    assert length.estimate(step=43, epoch=2) == 66
    assert length.estimate(step=66, epoch=2) == 67 and length.estimate(step=67, epoch=3) == 67
    length.end_epoch(50, learn=False)  # left early
    assert length.steps_per_epoch == 23


def test_a_resumed_run_goes_on_with_the_estimate_and_the_pace_it_had(length):
    length.before_s = 50.0
    length.latest = (11, 50.0)
    total = length.estimate(step=11, epoch=0)
    again = RunLength(length.config, {}, OneProcess())
    again.restore(length.to_json(total))
    assert again.estimate(step=11, epoch=0) == total == 286
    again.before_s = 100.0  # the clock says less by now, and a new estimate is not due
    assert again.estimate(step=15, epoch=0) == total
    again.note_step(20)
    assert again.estimate(step=20, epoch=0) == 20 + 250  # 2 s a step, 500 s left
    longer = RunLength(with_values(length.config, {"train.max_minutes": 20.0}), {}, OneProcess())
    longer.restore(length.to_json(total))
    assert longer.estimate(step=11, epoch=0) == 11 + 575
