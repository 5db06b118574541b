"""Two real ranks over gloo: the gradients and losses of one step are those of one batch in float64."""

from pathlib import Path

import pytest
import torch

from tests import small_runs
from tests.distributed.gradient_ranks import SPLITS
from tests.distributed.splits import KINDS, reference

TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def ranks(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gradients")
    done = small_runs.launch(Path(__file__).with_name("gradient_ranks.py"), folder, processes=2)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {path.read_text() for path in folder.glob("rank*.json")} == {"2"}
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", SPLITS)
def test_two_ranks_give_the_gradients_of_one_batch_in_float64(ranks, split, kind):
    number = list(SPLITS).index(split)
    first, second = (torch.load(ranks / f"{number}-{kind}-{rank}.pt", weights_only=True) for rank in (0, 1))
    assert torch.equal(first["gradients"], second["gradients"]) and first["losses"] == second["losses"]
    expected, losses = reference(SPLITS[split][0], kind)
    error = float((first["gradients"] - expected).norm() / expected.norm())
    assert error < TOLERANCE
    assert first["losses"] == pytest.approx(losses, rel=1e-6)
