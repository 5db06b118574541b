"""Scalars to the tracker that --tracker names (TensorBoard by default), through Accelerate."""

from transformers import TrainerCallback

from training.setup.trackers import Trackers


class Tracking(TrainerCallback):
    def __init__(self, trackers: Trackers):
        self.trackers = trackers

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.trackers.log(logs, state.global_step)
