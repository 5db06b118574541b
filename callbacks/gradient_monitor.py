"""Where the gradient is: its norm in each part of the model, at the steps that are logged."""

import math

import torch
from transformers import TrainerCallback


class GradientMonitor(TrainerCallback):
    """Keeps the gradient norms of the model's direct children, before clipping; the loop logs what is in `norms`."""

    def __init__(self):
        self.norms: dict[str, float] = {}

    def on_pre_optimizer_step(self, args, state, control, model=None, grad_norm=0.0, **kwargs):
        if (state.global_step + 1) % args.logging_steps:
            return
        for name, part in model.named_children():
            grads = [parameter.grad for parameter in part.parameters() if parameter.grad is not None]
            if grads:
                self.norms[f"grad_norm/{name}"] = float(torch.nn.utils.get_total_norm(grads))
        # Clipping, which comes first, has scaled all gradients alike.
        scale = grad_norm / (math.hypot(*self.norms.values()) or 1.0)
        self.norms = {name: norm * scale for name, norm in self.norms.items()}

    def on_log(self, args, state, control, logs=None, **kwargs):
        logs.update(self.norms)
        self.norms = {}
