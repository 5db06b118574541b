"""What jumps or is not a number is skipped; three in a row go back; more than five times ends the run."""

import json
import math
from types import SimpleNamespace

import pytest

from callbacks.spike_guard import SpikeGuard
from training.loop.control import Control, Diverged


def step(guard: SpikeGuard, loss: float = 1.0, grad_norm: float = 1.0, ids=("a",), rank_zero: bool = True) -> Control:
    state = SimpleNamespace(global_step=7, is_world_process_zero=rank_zero)
    return guard.on_pre_optimizer_step(
        None, state, Control(), loss=loss, grad_norm=grad_norm, suspects=lambda: list(ids)
    )


def settled(**kwargs) -> SpikeGuard:
    guard = SpikeGuard(0.08, **{"detect": True, **kwargs})
    for number in range(50):
        assert not step(guard, 1.0 + 0.1 * (number % 3), 2.0).should_skip_update
    return guard


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["loss", "grad_norm"])
@pytest.mark.parametrize("detect", [True, False])
def test_what_is_not_a_number_is_skipped_and_named(where, value, detect, capsys):
    guard = SpikeGuard(0.08, detect=detect)
    assert step(guard, **{where: value}, ids=("en/1", "en/2")).should_skip_update
    out = capsys.readouterr().out
    assert out.startswith(f"Step 8: {'loss' if where == 'loss' else 'gradient norm'} ") and out.endswith("en/1, en/2\n")


def test_only_one_rank_speaks(capsys):
    assert step(SpikeGuard(0.08, detect=True), math.nan, rank_zero=False).should_skip_update
    assert not capsys.readouterr().out


def test_a_jump_beyond_four_times_the_running_mean_is_skipped():
    guard = settled()
    assert not step(guard, loss=4.2).should_skip_update
    assert step(settled(), loss=4.7).should_skip_update
    assert not step(settled(), grad_norm=7.9).should_skip_update
    assert step(settled(), grad_norm=8.1).should_skip_update
    assert not step(settled(detect=False), loss=1e9).should_skip_update


def test_the_first_steps_may_jump():
    guard = SpikeGuard(0.08, detect=True)
    assert not any(step(guard, 10.0**number).should_skip_update for number in range(20))


def test_a_spike_is_not_learned_from():
    guard = settled()
    before = dict(guard.mean_log)
    step(guard, loss=100.0)
    assert guard.mean_log == before and guard.steps == 50


def test_what_was_skipped_is_counted():
    guard = settled()
    for loss in (math.nan, 1.0, 1e9):
        step(guard, loss)
    assert guard.state()["attributes"]["skipped"] == 2


def test_three_in_a_row_ask_for_a_roll_back_and_a_good_step_starts_over():
    guard = SpikeGuard(0.08, detect=True)
    nan = math.nan
    asked = [step(guard, loss).should_roll_back for loss in (nan, nan, 1.0, nan, nan, nan, nan)]
    assert asked == [False] * 5 + [True, False]


def test_more_than_five_roll_backs_end_the_run():
    guard = SpikeGuard(0.08, detect=True)
    asked = [step(guard, math.nan).should_roll_back for _ in range(17)]
    assert sum(asked) == 5
    with pytest.raises(Diverged, match="5 roll-backs .* try a lower --lr"):
        step(guard, math.nan)


def test_its_state_survives_json():
    guard = settled()
    step(guard, math.nan)
    again = SpikeGuard(0.08, detect=True)
    for name, value in json.loads(json.dumps(guard.state()["attributes"])).items():
        setattr(again, name, value)
    assert vars(again) == vars(guard)


def test_two_of_three_that_are_skipped_for_ever_go_back_and_then_end_the_run():
    guard, asked = SpikeGuard(0.08, detect=False, roll_backs=2), []
    with pytest.raises(Diverged):
        for number in range(100):
            asked.append(step(guard, 1.0 if number % 3 == 0 else math.nan).should_roll_back)
    assert sum(asked) == 2 and asked.index(True) < 20 and guard.in_a_row < guard.patience


def test_a_half_of_the_last_twenty_may_be_skipped_and_no_more():
    guard = SpikeGuard(0.08, detect=False)
    assert not any(step(guard, math.nan if number % 2 else 1.0).should_roll_back for number in range(60))
    assert step(guard, math.nan).should_roll_back
