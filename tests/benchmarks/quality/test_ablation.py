"""What benchmarks/quality/ablation.py changes, and what it reads out of the curves."""

import pytest

from benchmarks.quality import ablation
from training.config.levels import level_layer


def test_the_changes_together_make_one_level_of_the_other():
    """But for what is fitted to the length of the run, and what only tunes a change."""
    fitted = {"optim.warmup_steps", "optim.first_period_steps", "train.epochs"}
    for level, other in ablation.OTHER.items():
        own, wanted = (level_layer(name, 256) for name in (level, other))
        differing = {key for key in own.keys() & wanted.keys() if own[key][0] != wanted[key][0]}
        changed = {key for keys in ablation.IMPROVEMENTS.values() for key in keys}
        assert changed - differing == set() and differing - changed <= fitted


def test_a_rate_is_the_levels_own_times_so_much():
    assert ablation.settings("basic", "four times the rate") == [
        "--set=optim.lr=0.0008",
        "--set=optim.lr_vector=0.0002",
    ]
    assert ablation.settings("enhanced", ablation.WHOLE) == []


def run(level: str, *mels: float) -> dict:
    curve = [{"seconds": 10.0 * (number + 1), "eval_mel": mel} for number, mel in enumerate(mels)]
    return {"level": level, "seed": 1, "curve": curve}


def test_what_helps_is_above_one_taken_away_or_given_and_what_ends_worse_came_apart():
    runs = {
        "enhanced, whole, seed 1": run("enhanced", 0.6, 0.4),
        "enhanced, Huber, seed 1": run("enhanced", 0.8, 0.6),
        "enhanced, twice the rate, seed 1": run("enhanced", 0.4, 0.5),
        "basic, whole, seed 1": run("basic", 0.9, 0.8),
        "basic, Huber, seed 1": run("basic", 0.8, 0.7),
    }
    found = ablation.figures(runs)
    assert found["Huber"]["of enhanced"]["median"] == pytest.approx(2.0)
    assert found["Huber"]["of basic"]["median"] == pytest.approx(2.0)
    assert ablation.NOTHING not in found
    assert found["twice the rate"]["of enhanced"] == {
        "median": pytest.approx(2.0), "least": 2.0, "most": 2.0, "never": 0, "of": 1, "came_apart": 1
    }  # fmt: skip


def test_a_change_is_compared_with_every_run_of_the_whole_level_and_these_with_one_another():
    runs = {
        "basic, whole, seed 1": run("basic", 0.9, 0.8),
        "basic, whole, seed 2": run("basic", 0.8, 0.7),
        "basic, Huber, seed 1": run("basic", 0.7, 0.6),
    }
    found = ablation.figures(runs)
    seeds = found[ablation.NOTHING]["of basic"]
    assert (seeds["least"], seeds["most"], seeds["of"]) == (pytest.approx(0.5), pytest.approx(2.0), 2)
    huber = found["Huber"]["of basic"]
    assert (huber["least"], huber["most"], huber["of"]) == (pytest.approx(2.0), pytest.approx(2.0), 2)
    assert list(found) == [ablation.NOTHING, "Huber"]
