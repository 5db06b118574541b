from transformers import TrainerCallback


class StopAtMel(TrainerCallback):
    """Ends the run once the running mean of the mel loss is below `target`, and logs that mean."""

    def __init__(self, target: float = 0.4, smoothing: float = 0.05):
        self.target, self.smoothing, self.mean = target, smoothing, None

    def on_step_end(self, args, state, control, losses=None, **kwargs):
        before = losses["mel"] if self.mean is None else self.mean
        self.mean = before + self.smoothing * (losses["mel"] - before)
        if self.mean < self.target:
            control.should_training_stop = control.should_save = True

    def on_log(self, args, state, control, logs=None, **kwargs):
        if self.mean is not None:
            logs["mel_mean"] = self.mean

    def state_dict(self) -> dict:
        return {"mean": self.mean}

    def load_state_dict(self, state: dict) -> None:
        self.mean = state["mean"]
