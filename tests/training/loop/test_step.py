"""One step's gradients and losses do not depend on how the effective batch was split, and are those of float64."""

import pytest
import torch
from accelerate import Accelerator

from testing import small_runs
from testing.distributed.splits import (
    COUNTS,
    CUTS,
    KINDS,
    SHAPES,
    WEIGHTS,
    batch_of,
    cut_into_batches,
    flat,
    gradients,
    new_model,
    reference,
    relative_error,
)
from training.loop.step import LossWeights, clip_gradients, draw_as_planned, forward_backward, own_rng_kept, sums_dtype

# The largest relative error found was 5.4e-7; a mean of means is off by more than 1e-2.
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def accelerator() -> Accelerator:
    small_runs.forget_accelerator()
    return Accelerator(cpu=True)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cuts", CUTS, ids=str)
def test_any_split_gives_the_gradients_of_one_batch_in_float64(accelerator, count, kind, cuts):
    found, losses = gradients(accelerator, cut_into_batches(count, cuts), SHAPES[kind])
    assert relative_error(found, count, kind) < TOLERANCE
    assert losses == pytest.approx(reference(count, kind)[1], rel=1e-6)


def test_the_mean_of_means_would_be_told_apart(accelerator):
    rows = small_runs.features()[:15]
    parts = [gradients(accelerator, [batch_of(part)], SHAPES["l1"])[0] for part in (rows[:10], rows[10:])]
    expected, _ = reference(15, "l1")
    assert float((sum(parts) / 2 - expected).norm() / expected.norm()) > 1e-2


def test_a_batch_that_does_not_count_changes_nothing(accelerator):
    batch = batch_of(small_runs.features()[:3])
    alone, losses = gradients(accelerator, [batch], SHAPES["huber"])
    with_empty, same = gradients(accelerator, [batch, batch_of([])], SHAPES["huber"])
    assert torch.equal(alone, with_empty) and losses == same


def test_a_step_of_nothing_but_broken_utterances_has_zero_gradients(accelerator):
    found, losses = gradients(accelerator, [batch_of([])], SHAPES["l1"])
    assert not found.any() and set(losses.values()) == {0.0}


def test_frames_are_counted_and_weights_used(accelerator):
    rows = small_runs.features()[:4]
    model = accelerator.prepare(new_model())
    weights = LossWeights(dict(WEIGHTS))
    losses, frames, _ = forward_backward(accelerator, model, [batch_of(rows)], weights, SHAPES["l1"])
    assert frames == sum(len(row.mel_TC) for row in rows)
    assert weights.total(losses) == pytest.approx(sum(WEIGHTS[name] * losses[name] for name in WEIGHTS))
    before = flat(model)
    weights.values = {name: 2 * weight for name, weight in WEIGHTS.items()}
    model.zero_grad()
    forward_backward(accelerator, model, [batch_of(rows)], weights, SHAPES["l1"])
    assert torch.equal(flat(model), 2 * before)


def test_a_loss_that_is_not_a_number_names_the_utterances_of_its_micro_batch(accelerator):
    rows = small_runs.features()[:6]
    batches = [batch_of(part) for part in (rows[:2], [], rows[2:5], rows[5:])]
    batches[2].tensors["mel"][0, 0, 0] = float("nan")
    model = accelerator.prepare(new_model())
    losses, _, suspects = forward_backward(accelerator, model, batches, LossWeights(dict(WEIGHTS)), SHAPES["l1"])
    assert suspects == batches[2].ids and len(suspects) == 3 and losses["mel"] != losses["mel"]


@pytest.mark.parametrize(("device", "dtype"), [("mps", torch.float32), ("cuda", torch.float64), ("cpu", torch.float64)])
def test_sums_are_exact_where_the_device_can_have_them_so(device, dtype):
    assert sums_dtype(torch.device(device)) == dtype


def test_clipping_gives_the_norm_before_it(accelerator):
    model = torch.nn.Linear(2, 1, bias=False)
    model.weight.grad = torch.tensor([[3.0, 4.0]])
    assert float(clip_gradients(accelerator, model, 1.0)) == pytest.approx(5.0)
    assert model.weight.grad.norm() == pytest.approx(1.0, rel=1e-5)
    model.weight.grad = torch.tensor([[float("nan"), 4.0]])
    assert not torch.isfinite(clip_gradients(accelerator, model, 1.0))


def test_noise_belongs_to_the_place_in_the_data():
    def noise(seed) -> list[float]:
        torch.rand(3)  # what was drawn before does not matter
        draw_as_planned(batch_of(small_runs.features()[:1], seed))
        return torch.rand(4).tolist()

    assert noise((1234, 0, 20, 3)) == noise((1234, 0, 20, 3))
    places = ((1, 0, 0, 1), (1, 0, 0, 2), (1, 0, 1, 1), (1, 1, 0, 1), (2, 0, 0, 1))
    assert len({tuple(noise(seed)) for seed in places}) == 5


@pytest.mark.parametrize(("device", "touched"), [("cuda:3", [torch.device("cuda:3")]), ("mps", []), ("cpu", [])])
def test_random_states_are_kept_and_those_of_other_gpus_not_touched(device, touched, monkeypatch):
    found = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    monkeypatch.setattr(torch.cuda, "get_rng_state", found.append)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: None)
    before = torch.get_rng_state()
    with own_rng_kept(torch.device(device)):
        torch.rand(3)
        assert not torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.get_rng_state(), before) and found == touched


def test_dropout_and_voices_use_it(accelerator):
    rows = small_runs.features()[:2]
    losses = [
        gradients(accelerator, [batch_of(rows, seed)], SHAPES["l1"], noisy=True)[1] for seed in ((1,), (1,), (2,))
    ]
    assert losses[0] == losses[1] != losses[2]
