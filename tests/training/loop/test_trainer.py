"""The loop's own decisions that no whole run shows."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from accelerate import Accelerator

from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.row_stats import RowStats, RowStatsByEpoch
from data_pipeline.batching.taken import RowsTaken
from data_pipeline.errors import UserError
from testing import small_runs
from testing.blows import ToldToStop
from training.config.fields import RunConfig, with_values
from training.loop.control import Diverged
from training.loop.length import RunLength
from training.loop.trainer import Trainer
from training.state.checkpoint import CheckpointFolder


def trainer(**facts) -> Trainer:
    """A Trainer with nothing but the facts that a decision needs."""
    bare = object.__new__(Trainer)
    for name, value in facts.items():
        setattr(bare, name, value)
    return bare


def test_the_alignment_weight_falls_in_a_straight_line_to_the_level_s():
    values = {"loss.alignment_weight_start": 1.0, "loss.alignment_weight": 0.2, "loss.alignment_decay_share": 0.5}
    one = trainer(config=with_values(RunConfig(), values))
    steps = [SimpleNamespace(global_step=step, max_steps=100) for step in (0, 25, 50, 90)]
    assert [one.base_weights(state)["alignment"] for state in steps] == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert one.base_weights(steps[0])["mel"] == 45.0


def test_evaluations_of_a_share_come_once_each():
    config = with_values(RunConfig(), {"train.eval_every_share": 0.25})
    one = trainer(config=config, evaluations_due=0, control=SimpleNamespace(should_evaluate=False))
    asked = []
    for step in range(1, 11):
        one.state, one.control.should_evaluate = SimpleNamespace(global_step=step, max_steps=10), False
        one._ask_for_evaluation(is_end_of_epoch=False)
        asked.append(one.control.should_evaluate)
    assert [step for step, was_asked in enumerate(asked, start=1) if was_asked] == [3, 5, 8, 10]


@pytest.mark.parametrize(("kept", "broken", "at_end", "stops"), [
    (18, 2, False, False),  # a tenth is let through
    (17, 3, False, False),  # so may be by chance, as the epoch goes on
    (12, 8, False, True),
    (3, 7, False, False),  # too few rows to tell
    (7, 3, True, True),
    (5, 0, True, False),
])  # fmt: skip
def test_too_many_broken_rows_stop_the_run(kept, broken, at_end, stops):
    row_stats = RowStats(kept + broken // 2)
    for number in range(broken):  # a half of them is found when it is decoded
        add = row_stats.add_undecodable if number < broken // 2 else row_stats.add_broken
        add(f"{number}", f"row {number} is broken")
    inputs = SimpleNamespace(train=SimpleNamespace(plan=SimpleNamespace(row_stats=row_stats)))
    one = trainer(config=RunConfig(), inputs=inputs, accelerator=Accelerator(cpu=True))
    if stops:
        with pytest.raises(UserError, match=rf"{broken} of {kept + broken} rows are broken(?s:.*)row 2 is broken"):
            one._check_broken(at_end)
    else:
        one._check_broken(at_end)


@pytest.mark.parametrize(("step", "elapsed_s", "signal", "diverged", "reason"), [
    (10, 3.0, None, False, "steps"),
    (12, 3.0, None, False, "epochs"),  # fewer than were asked for would be early stopping
    (12, 59.9, None, False, "epochs"),
    (10, 60.0, None, False, "minutes"),
    (9, 60.0, None, False, "early stopping"),
    (9, 60.0, 15, False, "SIGTERM"),
    (9, 60.0, 15, True, "diverged"),
])  # fmt: skip
def test_a_run_says_why_it_ended(step, elapsed_s, signal, diverged, reason):
    one = trainer(
        config=with_values(RunConfig(), {"train.max_minutes": 1.0, "train.max_steps": 10}),
        state=SimpleNamespace(global_step=step, max_steps=max(step, 10), best_metric=None),
        interruption=SimpleNamespace(signal=signal, name="SIGTERM"),
        length=SimpleNamespace(elapsed_s=elapsed_s, seconds_to_first_step=1.0),
        efficiency=SimpleNamespace(padded_share=0.1, data_wait_share=0.2),
    )
    result = one.result(diverged)
    assert (result.reason, result.steps, result.interrupted) == (reason, step, signal or 0)


def rolled_back(good: Path | None, finite: bool) -> Trainer:
    """A Trainer that has gone back; `good`: the checkpoint there is. `finite`: whether its weights are, by then."""
    one = trainer(
        config=RunConfig(),
        accelerator=Accelerator(cpu=True),
        optimizer=SimpleNamespace(param_groups=[{"params": [], "lr": 0.5, "peak_lr": 1.0}]),
        files=SimpleNamespace(load=lambda path: None, are_finite=lambda: finite),
        checkpoints=SimpleNamespace(
            newest_undamaged=lambda until=None: good, set_aside_later=lambda step: None, step_of=lambda path: 3
        ),
        control=SimpleNamespace(should_roll_back=True),
        state=SimpleNamespace(global_step=7),
        is_sound=good is None,  # an evaluation of what is left behind may have found no numbers
        proven=3,
    )
    one._roll_back()
    return one


@pytest.mark.parametrize("good", [Path("step-00000003"), None])
def test_a_run_that_goes_back_is_sound_and_half_as_fast(good):
    one = rolled_back(good, finite=True)
    assert one.is_sound and one.optimizer.param_groups[0]["peak_lr"] == 0.5 and not one.control.should_roll_back


def test_a_run_that_cannot_go_back_ends_where_its_weights_are_no_numbers():
    with pytest.raises(Diverged, match="at step 7 the weights are no finite numbers"):
        rolled_back(None, finite=False)


def after_a_step(values: dict, **length) -> int:
    """The run's end after step 100, which was the end so far, and at which no look at it is due."""
    config, accelerator = with_values(RunConfig(), values | {"log.every_steps": 7}), Accelerator(cpu=True)
    one = trainer(
        state=SimpleNamespace(global_step=99, max_steps=100, epoch=0),
        efficiency=SimpleNamespace(end_step=lambda batches: None),
        length=RunLength(config, {}, accelerator),
        accelerator=accelerator,
        inputs=SimpleNamespace(
            train=SimpleNamespace(plan=SimpleNamespace(taken=RowsTaken(), stats_by_epoch=RowStatsByEpoch()))
        ),
    )
    one.length.first_step = (0, 0.0)
    for name, value in length.items():
        setattr(one.length, name, value)
    planned = SimpleNamespace(after=Cursor(epoch=1, rows=8), ends_epoch=False, taken=())
    one._advance([SimpleNamespace(planned=planned, broken={})])
    assert one.state.global_step == 100
    return one.state.max_steps


def test_a_run_that_the_clock_ends_does_not_go_on_for_what_is_left_of_it():
    """Its rates have come down to the end that was told; only where a look is due does that move."""
    assert after_a_step({"train.max_minutes": 60.0}, is_guessed=False) == 100


def test_a_run_does_not_end_by_what_was_guessed_of_its_epochs():
    guess = {"is_guessed": True, "steps_per_epoch": 50, "epoch_began_at": 60}
    assert after_a_step({"train.epochs": 3}, **guess) == 160


def test_a_signal_at_a_step_that_was_saved_does_not_save_it_again(tmp_path, monkeypatch):
    """Saving again would take the whole checkpoint away before the new one is in its place."""
    saved, save = [], CheckpointFolder.save
    monkeypatch.setattr(CheckpointFolder, "save", lambda self, at, *more: saved.append(at) or save(self, at, *more))

    rarely = ["--max-steps", "4", "--set", "checkpoint.every_steps=2"]
    code = small_runs.train(tmp_path / "run", *rarely, callbacks=[ToldToStop(2)])
    assert code == 143 and saved == [2]
