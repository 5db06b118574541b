"""Real FSDP2 over gloo on a CPU, for tests. Import it before accelerate is used, or run it as train_main.py.

accelerate 1.15 shards on accelerators only: under an FSDP configuration on a CPU it falls back to DDP without a
word. With this in place it takes the CPU for one. Leave ACCELERATE_USE_CPU and --device cpu out, both of which
end the search for a backend before it is asked here. `small_runs.launch(..., config="fsdp2")` does all that.
"""

import os
import sys

import torch
from accelerate.state import PartialState
from accelerate.utils import DistributedType
from torch import nn
from torch.distributed.tensor import DTensor, Shard
from transformers import TrainerCallback

_set_device = PartialState.set_device


def _prepare_backend(self, cpu=False, sagemaker_dp=False, backend=None):
    assert not cpu, "cpu=True leaves FSDP out: give no --device cpu"
    return "gloo", DistributedType.MULTI_GPU


def _set_cpu(self):
    if self.device is None:
        self.device = torch.device("cpu")
    _set_device(self)


PartialState._prepare_backend = _prepare_backend
PartialState.set_device = _set_cpu


def assert_sharded(model: nn.Module, processes: int = 2) -> None:
    """That this is no DDP in disguise: as many processes as meant, and each holds its part of every parameter."""
    state = PartialState()
    assert state.num_processes == processes, state
    assert state.distributed_type == DistributedType.FSDP, state
    for name, parameter in model.named_parameters():
        assert isinstance(parameter, DTensor), name
        assert any(isinstance(placement, Shard) for placement in parameter.placements), (name, parameter.placements)
    whole = sum(parameter.numel() for parameter in model.parameters())
    here = sum(parameter.to_local().numel() for parameter in model.parameters())
    assert here < 0.6 * whole, (here, whole)


class Sharded(TrainerCallback):
    """Fails a run that is not sharded."""

    def __init__(self, processes: int = 2):
        self.processes = processes

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        assert_sharded(model, self.processes)


if __name__ == "__main__":
    import train_main
    from training.distributed.leave import leave

    leave(train_main.main(sys.argv[1:], callbacks=[Sharded(int(os.environ["WORLD_SIZE"]))]))
