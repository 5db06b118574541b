"""What the launcher's environment asks for, and what is refused of it."""

import pytest
import torch

from data_pipeline.errors import UserError
from testing import small_runs
from training.config.fields import RunConfig, with_values
from training.setup.building import build_accelerator, sharding


def test_cudnn_makes_no_plan_for_each_new_shape(tmp_path):
    small_runs.forget_accelerator()
    torch.backends.cuda.enable_cudnn_sdp(True)
    values = {"train.device": "cpu", "checkpoint.dir": str(tmp_path), "train.mixed_precision": "no"}
    build_accelerator(with_values(RunConfig(), values))
    assert not torch.backends.cuda.cudnn_sdp_enabled()


def test_without_a_launcher_nothing_is_sharded(monkeypatch):
    monkeypatch.delenv("ACCELERATE_USE_FSDP", raising=False)
    assert sharding() is None


def test_fsdp2_keeps_weights_and_outputs_in_float32(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    monkeypatch.setenv("FSDP_VERSION", "2")
    plugin = sharding()
    plugin.set_mixed_precision("bf16")  # as accelerate does with what the run's precision is
    policy = plugin.mixed_precision_policy
    assert (policy.param_dtype, policy.reduce_dtype, policy.output_dtype) == (torch.float32,) * 3


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "asks for DeepSpeed.*accelerate_configs/fsdp2_zero2.yaml"),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "version 1.*expected fsdp_version: 2"),
        ({"ACCELERATE_USE_FSDP": "true"}, "version 1.*expected fsdp_version: 2"),
    ],
)
def test_what_would_train_wrongly_is_refused(variables, message, monkeypatch):
    monkeypatch.delenv("FSDP_VERSION", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=message):
        sharding()
