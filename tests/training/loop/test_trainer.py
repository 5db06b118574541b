"""The loop's own decisions that no whole run shows."""

from types import SimpleNamespace

import pytest
from accelerate import Accelerator

from data_pipeline.errors import UserError
from data_pipeline.plan import RowStats
from tests import small_runs
from tests.blows import ToldToStop
from training.config.fields import RunConfig, with_values
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
    row_stats = RowStats(kept)
    for number in range(broken):
        row_stats.add_broken(f"{number}", f"row {number} is broken")
    inputs = SimpleNamespace(train=SimpleNamespace(plan=SimpleNamespace(row_stats=row_stats)))
    one = trainer(config=RunConfig(), inputs=inputs, accelerator=Accelerator(cpu=True))
    if stops:
        with pytest.raises(UserError, match=rf"{broken} of {kept + broken} rows are broken(?s:.*)row 2 is broken"):
            one._check_broken(at_end)
    else:
        one._check_broken(at_end)


def test_a_signal_at_a_step_that_was_saved_does_not_save_it_again(tmp_path, monkeypatch):
    """Saving again would take the whole checkpoint away before the new one is in its place."""
    saved, save = [], CheckpointFolder.save
    monkeypatch.setattr(CheckpointFolder, "save", lambda self, at, *more: saved.append(at) or save(self, at, *more))

    rarely = ["--max-steps", "4", "--set", "checkpoint.every_steps=2"]
    code = small_runs.train(tmp_path / "run", *rarely, callbacks=[ToldToStop(2)])
    assert code == 143 and saved == [2]
