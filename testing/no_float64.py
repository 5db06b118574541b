"""A GPU that has no float64, as a Mac's, without any GPU: torch's fake tensors have shapes and devices, and no data."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Refuse(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor) and leaf.dtype == torch.float64 and leaf.device.type != "cpu":
                raise TypeError(f"{function} gave float64 on {leaf.device}")
        return result


@contextmanager
def gpu_without_float64() -> Iterator[torch.device]:
    """The device; TypeError within for whatever puts float64 there."""
    with FakeTensorMode(allow_non_fake_inputs=True), _Refuse():
        yield torch.device("cuda", 0)  # fake tensors of mps are only where torch has it
