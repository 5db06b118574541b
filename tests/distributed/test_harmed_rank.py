"""What goes wrong on one rank of two is answered by both alike."""

import json
import re
from pathlib import Path

import pytest

from testing import small_runs
from testing.small_runs import SMALL, launch, losses, newest, scalars

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("harmed_rank.py")


def run_with(kind: str, step: int, run: Path, steps: int = 4) -> str:
    data = ["--train-data", small_runs.corpus(), "--checkpoint-dir", run]
    more = ["--max-steps", str(steps), "--grad-accum", "1", "--set", "checkpoint.every_steps=1"]
    done = launch(SCRIPT, kind, step, *data, *SMALL, *more, processes=2)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize(("kind", "said"), [("loss", "loss nan"), ("gradient", "gradient norm nan")])
def test_a_value_that_is_no_number_on_one_rank_is_skipped_by_all(tmp_path, kind, said):
    out = run_with(kind, 3, tmp_path / "run")
    [named] = re.findall(rf"^Step 3: {said}; update skipped. Utterances: (.*)$", out, re.MULTILINE)
    names = named.split(", ")
    ranks = {name.rpartition(" ")[2] for name in names}
    if kind == "loss":  # whose it was is known; the batches of this step are of two
        assert ranks == {"1)"} and len(names) == 2
    else:
        assert ranks == {"0)", "1)"} and len(names) == 4
    assert {name.partition(" (rank")[0] for name in names} < {row["id"] for row in small_runs.rows()}
    steps = sorted(path.name for path in (tmp_path / "run" / "checkpoints").glob("step-*"))
    assert steps == ["step-00000001", "step-00000002", "step-00000004"]  # none of the step that went wrong
    assert scalars(tmp_path / "run")["loss"][4] > 0


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("unharmed") / "run"
    run_with("memory", 99, run, steps=5)
    return run


@pytest.mark.parametrize("step", [2, 4])  # whose batches are of four; the other rank learns of it in the next
def test_out_of_memory_on_one_rank_halves_the_batches_of_all(tmp_path, unharmed, step):
    out = run_with("memory", step, tmp_path / "run", steps=5)
    assert out.count("Out of memory on rank 1: from here on each batch is cut into 2") == 1
    assert json.loads((newest(tmp_path / "run") / "training_state.json").read_text())["step"]["parts"] == 2
    found, expected = losses(tmp_path / "run")["loss"], losses(unharmed)["loss"]
    assert sorted(found) == sorted(expected) == [1, 2, 3, 4, 5]
    for at in expected:  # the same utterances; dropout and voices draw anew in each part
        assert found[at] == (expected[at] if at < step else pytest.approx(expected[at], rel=0.05))
