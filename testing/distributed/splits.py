"""The same utterances cut into micro-batches and ranks, without noise, and their gradients."""

from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from unittest import mock

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from data_pipeline.batching.collate import Batch, Collator, lengths, pad
from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.features import FeatureMaker, Features
from data_pipeline.batching.plan import PlannedBatch
from data_pipeline.recordings.audio import AudioConfig
from data_pipeline.recordings.speech import speech_spectrum
from data_pipeline.text.tokens import Vocabulary
from modeling import aligner
from modeling.configuration import GoyaConfig
from modeling.losses import LossShape, element_counts, loss_sums
from modeling.model import GoyaForTextToSpeech
from testing import small_runs
from training.loop.step import LossWeights, forward_backward

WEIGHTS = {"mel": 22.0, "stop": 1.5, "kl": 1.8, "alignment": 0.3}
SHAPES = {
    "l1": LossShape(),
    "huber": LossShape("huber", mel_smoothing=0.025, stop_smoothing=0.06),
}
KINDS = list(SHAPES)
# Of one process: utterances, and where they are cut into micro-batches.
CUTS = [[], [8], [4, 8, 12], [5, 6, 11], [8, 8]]
COUNTS = [16, 15]
# Of two: utterances, and for each rank the edges of its micro-batches; one without any gets an empty batch.
RANK_SPLITS = {
    "2 ranks x 8": (16, [[(0, 8)], [(8, 16)]]),
    "2 ranks x 2 x 4": (16, [[(0, 4), (4, 8)], [(8, 12), (12, 16)]]),
    "2 ranks, odd": (15, [[(0, 5), (5, 8)], [(8, 14), (14, 15)]]),
    "2 ranks, last batch missing": (15, [[(0, 6), (11, 15)], [(6, 11), (0, 0)]]),
}
BF16_SPLIT = ("2 ranks, odd", "l1")
WRAPPERS = ["ddp", "fsdp2"]


def batch_of(rows: list[Features], seed: tuple[int, ...] = (0,)) -> Batch:
    """A micro-batch whose reference clips are the utterances themselves, as no split may change them."""
    planned = PlannedBatch(tuple(rows), Cursor(), True, False, seed)
    batch = Collator(FeatureMaker(AudioConfig(), 2)).__getitems__(planned)
    if rows:
        mels = [row.mel_TC for row in rows]
        spectra = torch.stack([speech_spectrum(torch.from_numpy(mel)) for mel in mels])
        own = {"reference_mel": pad(mels, -11.0), "reference_lengths": lengths(mels), "reference_spectrum": spectra}
        batch.tensors |= own
    return batch


def new_model(noisy: bool = False) -> GoyaForTextToSpeech:
    """Size debug with every parameter away from zero, so that each has a gradient."""
    torch.manual_seed(0)
    dropout = {} if noisy else {"prenet_dropout": 0.0}
    model = GoyaForTextToSpeech(GoyaConfig.of_size("debug", vocab_size=len(Vocabulary()), **dropout))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.03 * torch.randn_like(parameter))
    return model.train()


@contextmanager
def no_voice_noise():
    with mock.patch("modeling.model.sample_voice", lambda mean, log_variance: mean):
        yield


def flat(model) -> Tensor:
    """All gradients in one vector, in float64; gathered from all ranks where they are sharded."""
    gradients = [parameter.grad for parameter in model.parameters()]
    whole = [grad.full_tensor() if isinstance(grad, DTensor) else grad for grad in gradients]
    return torch.cat([grad.double().flatten() for grad in whole])


def prepared(accelerator: Accelerator, noisy: bool = False) -> nn.Module:
    """A new model in its wrapper; the optimizer, which FSDP2 wants beside it, is left alone."""
    accelerator.free_memory()  # which forgets the model before this one
    model = new_model(noisy)
    return accelerator.prepare(model, torch.optim.SGD(model.parameters()))[0]


def step_on(accelerator: Accelerator, model: nn.Module, batches: list[Batch], shape: LossShape) -> dict[str, float]:
    """Gradients of one step through training.loop.step, without the noise of voices; returns the losses."""
    with no_voice_noise():
        return forward_backward(accelerator, model, batches, LossWeights(dict(WEIGHTS)), shape)[0]


def gradients(
    accelerator: Accelerator, batches: list[Batch], shape: LossShape, noisy: bool = False
) -> tuple[Tensor, dict[str, float]]:
    """Of one step through training.loop.step, on a new model."""
    model = prepared(accelerator, noisy)
    if noisy:
        losses = forward_backward(accelerator, model, batches, LossWeights(dict(WEIGHTS)), shape).losses
    else:
        losses = step_on(accelerator, model, batches, shape)
    return flat(model), losses


def cut_into_batches(count: int, cuts: list[int]) -> list[Batch]:
    """The first `count` utterances, cut at `cuts`."""
    rows, edges = small_runs.features()[:count], [0, *cuts, count]
    return [batch_of(rows[low:high]) for low, high in pairwise(edges)]


def relative_error(found: Tensor, count: int, kind: str) -> float:
    """Norm of the difference from the float64 gradients of one batch of `count` utterances, over their norm."""
    expected, _ = reference(count, kind)
    return float((found - expected).norm() / expected.norm())


@contextmanager
def everything_in_float64():
    """The network asks for float32 where half precision would harm; here it gets float64."""
    plain = torch.Tensor.log_softmax
    aligner._log_factorials.cache_clear()  # what is kept there has the precision it was made in
    with (
        mock.patch.object(torch.Tensor, "float", torch.Tensor.double),
        mock.patch.object(torch.Tensor, "log_softmax", lambda x, dim, dtype=None: plain(x.double(), dim)),
    ):
        yield
    aligner._log_factorials.cache_clear()


@cache
def reference(count: int, kind: str) -> tuple[Tensor, dict[str, float]]:
    """One batch of the first `count` utterances, float64, plain autograd: no code of training.loop.step."""
    model, batch, shape = new_model().double(), batch_of(small_runs.features()[:count]), SHAPES[kind]
    tensors = {name: value.double() if value.is_floating_point() else value for name, value in batch.tensors.items()}
    with no_voice_noise(), everything_in_float64():
        sums = loss_sums(model(**tensors), tensors, shape)
    assert all(value.dtype == torch.float64 for value in sums.values())
    counts = element_counts(tensors["mel_lengths"], 80, shape.frames_per_step)
    losses = {name: sums[name] / counts[name] for name in WEIGHTS}
    sum(WEIGHTS[name] * losses[name] for name in WEIGHTS).backward()
    return flat(model), {name: value.item() for name, value in losses.items()}
