"""A model whose weights are split between ranks (FSDP2), seen whole; on any other these do next to nothing."""

from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor


def is_sharded(model: nn.Module) -> bool:
    return any(isinstance(module, FSDPModule) for module in model.modules())


def reshard(model: nn.Module) -> None:
    """Drop the whole weights that a forward pass without a backward pass has left behind.

    Whoever changes weights in place changes the shards; the next forward pass must gather them again.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a tensor, sharing its memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole_weights(accelerator: Accelerator, model: nn.Module) -> dict[str, Tensor]:
    """All weights on the main rank; the others may get nothing. Call it on every rank where the model is sharded."""
    return accelerator.get_state_dict(model) if is_sharded(model) else model.state_dict()
