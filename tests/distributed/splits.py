"""The same utterances cut into micro-batches and ranks, without noise, and their gradients."""

from contextlib import contextmanager
from functools import cache
from unittest import mock

import torch
from accelerate import Accelerator
from torch import Tensor

from data_pipeline.audio import AudioConfig
from data_pipeline.collate import Batch, Collator, lengths, pad
from data_pipeline.features import FeatureMaker, Features
from data_pipeline.plan import Cursor, PlannedBatch
from data_pipeline.text import Vocabulary
from modeling import aligner
from modeling.configuration import GoyaConfig
from modeling.losses import LossShape, element_counts, loss_sums
from modeling.model import GoyaForTextToSpeech
from tests import small_runs
from training.step import LossWeights, forward_backward

WEIGHTS = {"mel": 22.0, "stop": 1.5, "kl": 1.8, "alignment": 0.3}
SHAPES = {
    "l1": LossShape(),
    "huber": LossShape("huber", mel_smoothing=0.025, stop_smoothing=0.06),
}
KINDS = list(SHAPES)


def batch_of(rows: list[Features], seed: tuple[int, ...] = (0,)) -> Batch:
    """A micro-batch whose reference clips are the utterances themselves, as no split may change them."""
    planned = PlannedBatch(tuple(rows), Cursor(), True, False, seed)
    batch = Collator(FeatureMaker(AudioConfig(), 2)).__getitems__(planned)
    if rows:
        mels = [row.mel_TC for row in rows]
        batch.tensors |= {"reference_mel": pad(mels, -11.0), "reference_lengths": lengths(mels)}
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
    """All gradients in one vector, in float64."""
    return torch.cat([parameter.grad.double().flatten() for parameter in model.parameters()])


def gradients(
    accelerator: Accelerator, batches: list[Batch], shape: LossShape, noisy: bool = False
) -> tuple[Tensor, dict[str, float]]:
    """Of one step through training.step, on a new model."""
    model = accelerator.prepare(new_model(noisy))
    if noisy:
        losses, _ = forward_backward(accelerator, model, batches, LossWeights(dict(WEIGHTS)), shape)
    else:
        with no_voice_noise():
            losses, _ = forward_backward(accelerator, model, batches, LossWeights(dict(WEIGHTS)), shape)
    return flat(model), losses


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
    """One batch of the first `count` utterances, float64, plain autograd: no code of training.step."""
    model, batch, shape = new_model().double(), batch_of(small_runs.features()[:count]), SHAPES[kind]
    tensors = {name: value.double() if value.is_floating_point() else value for name, value in batch.tensors.items()}
    with no_voice_noise(), everything_in_float64():
        sums = loss_sums(model(**tensors), tensors, shape)
    assert all(value.dtype == torch.float64 for value in sums.values())
    counts = element_counts(tensors["mel_lengths"], 80, shape.frames_per_step)
    losses = {name: sums[name] / counts[name] for name in WEIGHTS}
    sum(WEIGHTS[name] * losses[name] for name in WEIGHTS).backward()
    return flat(model), {name: value.item() for name, value in losses.items()}
