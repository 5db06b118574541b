"""The loop that does nothing but learn, and what all contenders share: batches, model, loss, optimizer, clock."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from data_pipeline.batching.collate import Batch
from modeling.configuration import GoyaConfig
from modeling.losses import SUMS, element_counts, loss_sums
from modeling.model import GoyaForTextToSpeech
from training.config.fields import RunConfig
from training.setup.building import loss_shape
from training.setup.optimizer import build_optimizer

WARM_UP = 5  # steps that are not timed


@dataclass
class Job:
    """What each contender gets: recorded batches, over which it goes again and again, and how many steps are timed.

    flags: of train_main.py; config: what they make. model: of what architecture.
    """

    batches: list[Batch]
    flags: list[str]
    config: RunConfig
    model: GoyaConfig
    steps: int

    @property
    def bf16(self) -> bool:
        return self.config.train.mixed_precision == "bf16"

    def tensors(self) -> Iterator[dict[str, Tensor]]:
        for number in range(WARM_UP + self.steps):
            yield self.batches[number % len(self.batches)].tensors


class Clock:
    """Seconds from the end of the warm-up to the end of the last step."""

    def __init__(self, job: Job):
        self.job, self.ends = job, []

    def tick(self) -> None:
        self.ends.append(time.perf_counter())

    @property
    def seconds_a_step(self) -> float:
        return (self.ends[WARM_UP + self.job.steps - 1] - self.ends[WARM_UP - 1]) / self.job.steps


class WithLoss(nn.Module):
    """A model whose forward pass answers with its loss, as other trainers want it."""

    def __init__(self, job: Job):
        super().__init__()
        torch.manual_seed(0)
        self.model = GoyaForTextToSpeech(job.model).train()
        self.loss, self.optim = job.config.loss, job.config.optim  # transformers takes a `config` for its own
        self.shape = loss_shape(job.config, job.model.frames_per_step)

    def forward(self, **tensors: Tensor) -> Tensor:
        counts = element_counts(tensors["mel_lengths"], tensors["mel"].shape[-1], self.shape.frames_per_step)
        sums = loss_sums(self.model(**tensors), tensors, self.shape)
        return sum(getattr(self.loss, f"{name}_weight") * sums[name] / counts[name] for name in SUMS)

    def optimizer(self) -> torch.optim.Optimizer:
        return build_optimizer(self.model, self.optim, torch.device("cpu"))


def bare(job: Job) -> float:
    """Seconds a step."""
    module, clock = WithLoss(job), Clock(job)
    optimizer = module.optimizer()
    for tensors in job.tensors():
        with torch.autocast("cpu", torch.bfloat16, enabled=job.bf16):
            loss = module(**tensors)
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), job.config.optim.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        clock.tick()
    return clock.seconds_a_step
