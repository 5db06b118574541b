"""The level's loss weights at each step, where they do not adapt."""

from transformers import TrainerCallback

from training.loop.step import LossWeights


class WeightSchedule(TrainerCallback):
    """Sets the loss weights that `base` gives for the present step (the alignment's may start higher and fall)."""

    def __init__(self, weights: LossWeights, base):
        self.weights, self.base = weights, base

    def on_step_begin(self, args, state, control, **kwargs):
        self.weights.values.update(self.base(state))
