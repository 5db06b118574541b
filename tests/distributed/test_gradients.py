"""Two real ranks over gloo, as DDP and as FSDP2: gradients, norms and losses of one step are those of one batch."""

import pytest
import torch

from testing.distributed.gradient_errors import BF16, run_ranks
from testing.distributed.gradient_ranks import CLIP_NORM
from testing.distributed.splits import (
    BF16_SPLIT,
    KINDS,
    RANK_SPLITS,
    WRAPPERS,
    new_model,
    reference,
    relative_error,
)

TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """A function from wrapper, split and kind to what each of the two ranks found."""
    folders = {wrapper: tmp_path_factory.mktemp(wrapper) for wrapper in WRAPPERS}
    results = {wrapper: run_ranks(folder, wrapper) for wrapper, folder in folders.items()}
    return lambda wrapper, split, kind: results[wrapper][split, kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", RANK_SPLITS)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_two_ranks_give_the_gradients_of_one_batch_in_float64(found, wrapper, split, kind):
    first, second = found(wrapper, split, kind)
    assert torch.equal(first["gradients"], second["gradients"]) and first["losses"] == second["losses"]
    count = RANK_SPLITS[split][0]
    assert relative_error(first["gradients"], count, kind) < TOLERANCE
    assert first["losses"] == pytest.approx(reference(count, kind)[1], rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", RANK_SPLITS)
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_norms_are_those_of_the_whole_gradient(found, wrapper, split, kind):
    """Clipping and gradient monitor alike, also where a rank holds only its part of each gradient."""
    first, second = found(wrapper, split, kind)
    assert first["norms"] == second["norms"]
    expected, _ = reference(RANK_SPLITS[split][0], kind)
    parts, done = {}, 0
    for name, part in new_model().named_children():
        size = sum(parameter.numel() for parameter in part.parameters())
        parts[f"grad_norm/{name}"] = float(expected[done : done + size].norm())
        done += size
    assert done == len(expected)
    norms = {"whole": float(expected.norm()), "clipped": CLIP_NORM, **parts}
    assert first["norms"] == pytest.approx(norms, rel=1e-5)


def test_sharding_rounds_nothing_that_autocast_leaves_exact(found):
    """In bf16 FSDP2 gives DDP's gradients: weights, mels and norms are not rounded on their way to the network."""
    ddp, fsdp2 = (found(wrapper, BF16, BF16)[0] for wrapper in WRAPPERS)
    difference = float((fsdp2["gradients"] - ddp["gradients"]).norm() / ddp["gradients"].norm())
    assert difference < 1e-5
    assert fsdp2["losses"] == pytest.approx(ddp["losses"], rel=1e-6)
    assert relative_error(ddp["gradients"], RANK_SPLITS[BF16_SPLIT[0]][0], BF16_SPLIT[1]) > 1e-4, "this was not bf16"
