"""The progress line of a run without a terminal, by a clock that the test sets."""

from types import SimpleNamespace

import pytest

from callbacks import progress
from training.length import UNKNOWN_LENGTH


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False)
    return clock


def logged(one, clock, now: float, step: int, of: int, frames: int) -> dict:
    state = SimpleNamespace(global_step=step, max_steps=of, is_world_process_zero=True)
    one.on_step_end(None, state, None, frames=frames)
    clock.now, logs = now, {"loss": 2.0, "loss/mel": 0.25}
    one.on_log(None, state, None, logs=logs)
    return logs


def test_the_line_tells_the_time_left_by_the_pace_of_the_whole_run(clock, capsys):
    one = progress.Progress()
    one.on_train_begin(None, SimpleNamespace(global_step=0, is_world_process_zero=True), None)
    logged(one, clock, 110.0, 1, UNKNOWN_LENGTH, 500)
    assert capsys.readouterr().out.startswith("step 1/? mel 0.250 |")
    logs = logged(one, clock, 130.0, 2, 182, 1000)
    # 30 s for two steps, so 15 s for each of the 180 that are left; the interval itself took 20 s.
    assert capsys.readouterr().out.startswith("step 2/182 (45:00 left) mel 0.250 | 20.00 s/step 50 frames/s")
    assert (logs["step_s"], logs["frames_per_s"]) == (20.0, 50.0)


def test_lines_come_no_oftener_than_that(clock, capsys):
    one = progress.Progress()
    one.on_train_begin(None, SimpleNamespace(global_step=4, is_world_process_zero=True), None)
    logged(one, clock, 100.0 + progress.LINE_EVERY_S - 1, 5, 182, 500)
    assert capsys.readouterr().out == ""
    logged(one, clock, 100.0 + progress.LINE_EVERY_S, 6, 182, 500)
    assert capsys.readouterr().out.startswith("step 6/182")
