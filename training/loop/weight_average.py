"""A moving average of the weights: what is evaluated, spoken with and shipped, where train.ema_decay asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from training.distributed.sharding import local, reshard
from training.state.state_files import named_parameters


class WeightAverage:
    """Exponential moving average (Polyak and Juditsky 1992; for networks, Tarvainen and Valpola 2017).

    The decay is at most (1 + step) / (10 + step), so that the random start is soon forgotten.

    Args:
        model: prepared; of a sharded one each rank averages its shards.
        decay: of the old average at each step, near 1.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.model, self.decay = model, decay
        self.live = dict(named_parameters(model))
        self.weights: dict[str, Tensor] = {name: weight.detach().clone() for name, weight in self.live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after optimizer step `step`, counted from 1."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._averaged(), self._live(), share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model holds the averaged weights inside, and its own again afterwards."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        reshard(self.model)
        for averaged, live in zip(self._averaged(), self._live(), strict=True):
            kept = live.clone()
            live.copy_(averaged)
            averaged.copy_(kept)

    def _averaged(self) -> list[Tensor]:
        return [local(weight) for weight in self.weights.values()]

    def _live(self) -> list[Tensor]:
        return [local(weight.detach()) for weight in self.live.values()]
