"""The progress line of a run without a terminal, by a clock that the test sets."""

from types import SimpleNamespace

import pytest

from callbacks import progress
from training.loop.length import Ahead


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False)
    return clock


def made(ahead: list[Ahead], step: int = 0) -> progress.Progress:
    """`ahead`: what is known at each asking, of which the last is asked again."""
    one = progress.Progress(lambda state: ahead[0])
    one.on_train_begin(None, SimpleNamespace(global_step=step, is_world_process_zero=True), None)
    return one


def logged(one, clock, now: float, step: int, frames: int) -> dict:
    state = SimpleNamespace(global_step=step, is_world_process_zero=True)
    one.on_step_end(None, state, None, frames=frames)
    clock.now, logs = now, {"loss": 2.0, "loss/mel": 0.25}
    one.on_log(None, state, None, logs=logs)
    return logs


def test_the_line_tells_the_time_left_by_the_pace_of_the_whole_run(clock, capsys):
    ahead = [Ahead(None, most_s=2710.0)]
    one = made(ahead)
    logged(one, clock, 110.0, 1, 500)
    # No pace yet, but minutes were given.
    assert capsys.readouterr().out.startswith("step 1/? (45:10 left) mel 0.250 |")
    ahead[0] = Ahead(182, most_s=7200.0)
    logs = logged(one, clock, 130.0, 2, 1000)
    # 30 s for two steps, so 15 s for each of the 180 that are left; the interval itself took 20 s.
    assert capsys.readouterr().out.startswith("step 2/182 (45:00 left) mel 0.250 | 20.00 s/step 50 frames/s")
    assert (logs["step_s"], logs["frames_per_s"]) == (20.0, 50.0)


def test_an_estimate_is_called_one(clock, capsys):
    one = made([Ahead(182, roughly=True)])
    logged(one, clock, 110.0, 1, 500)
    assert capsys.readouterr().out.startswith("step 1/about 182 (about 30:10 left) mel")


def test_where_nothing_is_known_the_line_says_when_it_will_be(clock, capsys):
    one = made([Ahead(None)])
    logged(one, clock, 110.0, 1, 500)
    assert capsys.readouterr().out.startswith("step 1/? (time left: known after the first epoch) mel")


def test_lines_come_no_oftener_than_that(clock, capsys):
    one = made([Ahead(182)], step=4)
    logged(one, clock, 100.0 + progress.LINE_EVERY_S - 1, 5, 500)
    assert capsys.readouterr().out == ""
    logged(one, clock, 100.0 + progress.LINE_EVERY_S, 6, 500)
    assert capsys.readouterr().out.startswith("step 6/182")


def test_a_clock_that_stands_still_gives_no_pace(clock, capsys):
    one = made([Ahead(182)])
    assert "step_s" not in logged(one, clock, 100.0, 1, 500) and capsys.readouterr().out == ""


def test_a_line_that_is_late_comes_too(clock, capsys):
    one = made([Ahead(182)], step=4)
    logged(one, clock, 100.0 + 3 * progress.LINE_EVERY_S, 5, 500)
    assert capsys.readouterr().out.startswith("step 5/182")


def test_in_a_terminal_the_bar_has_the_end_or_the_time_until_it(clock, monkeypatch, capsys):
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    ahead = [Ahead(None, most_s=2710.0)]
    one = made(ahead)
    logged(one, clock, 110.0, 1, 500)
    assert one.bar.total is None and "45:10 left" in str(one.bar)
    ahead[0] = Ahead(182, most_s=2690.0)
    logged(one, clock, 130.0, 2, 500)
    assert one.bar.total == 182 and "left" not in one.bar.postfix
    one.on_train_end(None, None, None)
