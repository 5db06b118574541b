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


def test_a_run_that_has_stopped_does_not_begin_again_but_with_more_patience_it_does(capsys):
    arguments = SimpleNamespace(**vars(ARGUMENTS), load_best_model_at_end=True, eval_strategy="steps")
    for patience, is_over in ((3, True), (4, False)):
        callback = EarlyStopping(patience, 0.01)
        callback.early_stopping_patience_counter = 3
        state = TrainerState(is_world_process_zero=True, global_step=7)
        control = callback.on_train_begin(arguments, state, TrainerControl())
        assert control.should_training_stop == is_over
        assert ("This run stopped early at step 7" in capsys.readouterr().out) == is_over
