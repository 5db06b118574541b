"""Scalars to the tracker that --tracker names (TensorBoard by default), through Accelerate."""

from accelerate import Accelerator
from transformers import TrainerCallback


class Tracking(TrainerCallback):
    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.accelerator.log(logs, step=state.global_step)
