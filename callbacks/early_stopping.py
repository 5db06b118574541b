"""Stop when validation stands still."""

from transformers import EarlyStoppingCallback


class EarlyStopping(EarlyStoppingCallback):
    """transformers' own early stopping; says so when it stops. The loop then goes back to the best weights."""

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        if args.metric_for_best_model not in metrics:
            return control  # speech is judged at some evaluations only
        super().on_evaluate(args, state, control, metrics=metrics, **kwargs)
        stands_still = self.early_stopping_patience_counter >= self.early_stopping_patience
        if stands_still and state.is_world_process_zero:
            print(
                f"Stopping early at step {state.global_step}: {self.early_stopping_patience_counter} evaluations "
                f"without {args.metric_for_best_model} falling by {self.early_stopping_threshold:g} "
                f"below {state.best_metric:.4f}."
            )
        return control
