"""What is checked on: the device, made batches, and steps of training on them."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from modeling.configuration import GoyaConfig
from modeling.losses import SUMS, LossShape, element_counts, loss_sums
from modeling.model import GoyaForTextToSpeech
from training.config.fields import OptimConfig
from training.setup.optimizer import build_optimizer

VOCABULARY, N_MELS, RATE, CLIP_NORM = 1000, 80, 1e-4, 0.8
REFERENCE_FRAMES = 200
LOSS_SHAPE = LossShape("huber", 0.6, 0.025, 0.06, 2)


class Skipped(Exception):
    """A part, or one figure of it, that this machine cannot have; says why."""


@dataclass(frozen=True)
class Bench:
    """The device, the sizes to check from small to large, and the largest batch: utterances, mel frames, tokens."""

    device: torch.device
    sizes: tuple[str, ...]
    batch: int
    frames: int
    tokens: int

    @property
    def is_gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def common_size(self) -> str:
        """What a part takes that takes one: normal, where it is among the sizes."""
        return "normal" if "normal" in self.sizes else self.sizes[0]

    def wants_gpu(self, why: str) -> None:
        if not self.is_gpu:
            raise Skipped(f"no GPU: {why}")

    def wait(self) -> None:
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def milliseconds(self, work: Callable[[], object], repeats: int = 5) -> float:
        """The median, after one call that warms up."""
        return statistics.median(self.times(work, repeats + 1)[1:])

    def times(self, work: Callable[[], object], repeats: int) -> list[float]:
        """Milliseconds of each call."""
        found = []
        for _ in range(repeats):
            self.wait()
            started = time.perf_counter()
            work()
            self.wait()
            found.append(1000 * (time.perf_counter() - started))
        return found

    def made_batch(
        self, batch: int | None = None, frames: int | None = None, tokens: int | None = None
    ) -> dict[str, Tensor]:
        """On the CPU: noise of the lengths that bucketing gives, a tenth apart, and half as many tokens at least."""
        batch, frames, tokens = batch or self.batch, frames or self.frames, tokens or self.tokens
        draw = torch.Generator().manual_seed(batch + frames + tokens)
        mel_BTC = torch.randn(batch, frames, N_MELS, generator=draw) * 2 - 5
        lengths_B = torch.randint(max(2 * tokens, int(0.9 * frames)), frames + 1, (batch,), generator=draw)
        tokens_B = torch.randint(max(1, tokens // 2), tokens + 1, (batch,), generator=draw)
        lengths_B[0], tokens_B[0] = frames, tokens
        reference_BTC = mel_BTC[:, :REFERENCE_FRAMES].contiguous()
        made = {
            "input_ids": torch.randint(4, VOCABULARY, (batch, tokens), generator=draw),
            "token_lengths": tokens_B,
            "mel": mel_BTC,
            "mel_lengths": lengths_B,
            "reference_mel": reference_BTC,
            "reference_lengths": torch.full((batch,), reference_BTC.shape[1]),
            "reference_spectrum": mel_BTC.mean(1),
        }
        return {name: tensor.pin_memory() if self.is_gpu else tensor for name, tensor in made.items()}

    def job(self, size: str) -> "Job":
        return Job(size, self.device)


class Job:
    """A model of a size and its optimizer; called with a batch of the CPU it takes a step as training does, in bf16."""

    def __init__(self, size: str, device: torch.device):
        self.device = device
        self.model = new_model(size, device).train()
        self.optimizer = build_optimizer(self.model, OptimConfig(lr=RATE, lr_vector=RATE), device)

    def __call__(self, batch: dict[str, Tensor]) -> dict[str, float]:
        """The losses."""
        counts = element_counts(batch["mel_lengths"], N_MELS, LOSS_SHAPE.frames_per_step)
        sums = self.backward(
            {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}, counts
        )
        found = torch.stack([sums[name].detach().double() for name in SUMS]).tolist()
        float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP_NORM))
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {name: value / counts[name] for name, value in zip(SUMS, found, strict=True)}

    def backward(self, tensors: dict[str, Tensor], counts: dict[str, int]) -> dict[str, Tensor]:
        with torch.autocast(self.device.type, torch.bfloat16):
            output = self.model(**tensors)
        sums = loss_sums(output, tensors, LOSS_SHAPE)
        sum(sums[name] / counts[name] for name in SUMS).backward()
        return sums

    def tflop(self, batch: dict[str, Tensor]) -> float:
        """Of the matrix products, attention and convolutions of a step, as torch counts them."""
        with FlopCounterMode(display=False) as counter:
            self(batch)
        return counter.get_total_flops() / 1e12


def new_model(size: str, device: torch.device, **config) -> GoyaForTextToSpeech:
    torch.manual_seed(0)
    with device:  # weights that are drawn there: a CPU takes seconds for those of size big
        return GoyaForTextToSpeech(GoyaConfig.of_size(size, vocab_size=VOCABULARY, **config))


def cudnn_attention(is_on: bool) -> None:
    torch.backends.cuda.enable_cudnn_sdp(is_on)
