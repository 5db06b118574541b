"""Keeps the moving average of the weights (train.ema_decay) up to date."""

from transformers import TrainerCallback

from training.loop.weight_average import WeightAverage


class Ema(TrainerCallback):
    def __init__(self, average: WeightAverage):
        self.average = average

    def on_step_end(self, args, state, control, **kwargs):
        self.average.update(state.global_step)
