"""Stops after `patience` evaluations without progress, counted over a resume too."""

from types import SimpleNamespace

from transformers import TrainerControl, TrainerState

from callbacks.early_stopping import EarlyStopping

ARGUMENTS = SimpleNamespace(metric_for_best_model="eval_mel", greater_is_better=False)


def evaluate(callback: EarlyStopping, state: TrainerState, value: float) -> bool:
    """As the loop does: the callback first, then the best so far."""
    control = callback.on_evaluate(ARGUMENTS, state, TrainerControl(), metrics={"eval_mel": value})
    state.best_metric = value if state.best_metric is None else min(value, state.best_metric)
    return control.should_training_stop


def test_progress_smaller_than_the_threshold_does_not_count(capsys):
    callback, state = EarlyStopping(3, 0.01), TrainerState(is_world_process_zero=True)
    assert [evaluate(callback, state, value) for value in (1.0, 0.9, 0.895, 0.95, 0.8, 0.85, 0.81, 0.795)] == (
        [False] * 7 + [True]
    )
    assert "3 evaluations without eval_mel falling by 0.01 below 0.8000" in capsys.readouterr().out


def test_the_count_is_kept_in_its_state():
    callback, state = EarlyStopping(3, 0.01), TrainerState()
    for value in (1.0, 1.0, 1.0):
        evaluate(callback, state, value)
    resumed = EarlyStopping(3, 0.01)
    for name, value in callback.state()["attributes"].items():
        setattr(resumed, name, value)
    assert evaluate(resumed, state, 1.0)
