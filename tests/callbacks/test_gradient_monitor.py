"""The gradient's norm in each part of the model, as it was before clipping."""

from types import SimpleNamespace

import pytest
import torch

from callbacks.gradient_monitor import GradientMonitor


def logs_of(step: int, scale: float = 1.0) -> dict:
    model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Linear(2, 1, bias=False), torch.nn.Identity())
    model[0].weight.grad, model[0].bias.grad = torch.tensor([[2.0, 2.0]]) * scale, torch.tensor([1.0]) * scale
    model[1].weight.grad = torch.tensor([[0.0, -4.0]]) * scale
    monitor, logs = GradientMonitor(), {"loss": 1.0}
    arguments = SimpleNamespace(logging_steps=10)
    monitor.on_pre_optimizer_step(arguments, SimpleNamespace(global_step=step - 1), None, model=model, grad_norm=5.0)
    monitor.on_log(arguments, None, None, logs=logs)
    assert monitor.norms == {}
    return logs


@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_norms_are_those_of_each_part_before_clipping(scale):
    assert logs_of(20, scale) == pytest.approx({"loss": 1.0, "grad_norm/0": 3.0, "grad_norm/1": 4.0})


def test_only_logged_steps_are_measured():
    assert logs_of(19) == {"loss": 1.0}
