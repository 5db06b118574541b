"""Stop when validation stands still."""

from transformers import EarlyStoppingCallback


class EarlyStopping(EarlyStoppingCallback):
    """transformers' own early stopping; says so when it stops, and has the end saved, where a resume finds it again.

    The loop then goes back to the best weights.
    """

    def on_train_begin(self, args, state, control, **kwargs):
        super().on_train_begin(args, state, control, **kwargs)
        if self._stands_still:
            control.should_training_stop = True
            if state.is_world_process_zero:
                print(
                    f"This run stopped early at step {state.global_step}, so there is nothing left to do. To train on, "
                    f"give a larger train.patience_evaluations than {self.early_stopping_patience}, or --set "
                    "train.early_stopping=false."
                )
        return control

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        if args.metric_for_best_model not in metrics:
            return control  # speech is judged at some evaluations only
        super().on_evaluate(args, state, control, metrics=metrics, **kwargs)
        if self._stands_still:
            control.should_save = True
            if state.is_world_process_zero:
                print(
                    f"Stopping early at step {state.global_step}: {self.early_stopping_patience_counter} evaluations "
                    f"without {args.metric_for_best_model} falling by {self.early_stopping_threshold:g} "
                    f"below {state.best_metric:.4f}."
                )
        return control

    @property
    def _stands_still(self) -> bool:
        return self.early_stopping_patience_counter >= self.early_stopping_patience
