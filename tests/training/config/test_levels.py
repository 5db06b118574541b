"""The levels' published numbers, and what adjusts them."""

import pytest

from training.config.fields import FIELDS, RunConfig, apply_layer, coerce, get, with_values
from training.config.levels import (
    LEVELS,
    apply_fast_convergence,
    apply_level,
    fast_convergence_layer,
    is_user_set,
    level_layer,
    run_length_layer,
    width_of,
)

# The seed's numbers, at width 1024, written out a second time on purpose.
BASIC = {
    "optim.lr": 5e-5, "optim.lr_vector": 5e-5, "optim.weight_decay": 1e-6, "optim.clip_norm": 1.0,
    "optim.warmup_steps": 2000, "optim.schedule": "noam",
    "loss.mel_weight": 45, "loss.kl_weight": 1.0, "loss.stop_weight": 1.0, "loss.alignment_weight": 1.0,
    "loss.mel_loss": "l1", "loss.mel_smoothing": 0, "loss.stop_smoothing": 0, "loss.adaptive_weights": False,
    "train.epochs": 200, "train.grad_accum": 16, "train.spike_detection": False,
    "train.early_stopping": False,
}  # fmt: skip
ENHANCED = {
    "optim.lr": 8e-5, "optim.lr_vector": 8e-5, "optim.weight_decay": 5e-7, "optim.clip_norm": 0.8,
    "optim.warmup_steps": 1500, "optim.schedule": "cosine_restarts", "optim.lr_floor": 1e-7,
    "optim.first_period_steps": 8000, "optim.restart_decay": 0.8,
    "loss.mel_weight": 22, "loss.kl_weight": 1.8, "loss.stop_weight": 1.5, "loss.alignment_weight": 0.3,
    "loss.mel_loss": "huber", "loss.huber_delta": 0.6, "loss.mel_smoothing": 0.025,
    "loss.stop_smoothing": 0.06, "loss.adaptive_weights": True, "loss.loss_smoothing": 0.08,
    "train.epochs": 500, "train.grad_accum": 2, "train.spike_detection": True, "train.early_stopping": True,
    "train.patience_evaluations": 40, "train.min_delta": 5e-5,
}  # fmt: skip


def values(config, keys):
    return {key: get(config, key) for key in keys}


@pytest.mark.parametrize(("name", "expected"), [("basic", BASIC), ("enhanced", ENHANCED)])
def test_a_level_sets_exactly_its_published_numbers(name, expected):
    assert {key: value for key, (value, _) in level_layer(name, 1024).items()} == expected
    assert values(apply_level(RunConfig(), name, 1024), expected) == expected


@pytest.mark.parametrize("name", LEVELS)
def test_a_level_changes_nothing_else_and_fits_every_range(name):
    before = with_values(RunConfig(), {"data.language": "fa", "train.seed": 5})
    after = apply_level(before, name, 512)
    layer = level_layer(name, 512)
    others = [key for key in FIELDS if key not in layer and key != "train.level"]
    assert values(after, others) == values(before, others)
    assert after.train.level == name
    for key, (value, reason) in layer.items():
        assert coerce(key, value, reason) == value
        assert reason.startswith(f"level {name}")


@pytest.mark.parametrize(("size", "factor"), [("debug", 16), ("tiny", 4), ("small", 2), ("normal", 1), ("big", 2 / 3)])
def test_only_the_rate_of_matrices_follows_the_width(size, factor):
    config = apply_level(RunConfig(), "enhanced", width_of(size))
    assert config.optim.lr == pytest.approx(8e-5 * factor, rel=1e-6)
    assert values(config, set(ENHANCED) - {"optim.lr"}) == {k: v for k, v in ENHANCED.items() if k != "optim.lr"}


def test_a_scaled_rate_says_how_it_was_scaled():
    assert level_layer("enhanced", 256)["optim.lr"] == (3.2e-4, "level enhanced: 8e-05 x 1024/256")
    assert level_layer("enhanced", 1024)["optim.lr"] == (8e-5, "level enhanced")


def test_fast_convergence_is_three_times_the_rate_after_half_the_warm_up():
    level = apply_level(with_values(RunConfig(), {"model.size": "tiny"}), "enhanced", 256)
    fast = apply_fast_convergence(level)
    assert (fast.optim.lr, fast.optim.lr_vector) == (9.6e-4, 2.4e-4)
    assert fast.optim.warmup_steps == 750
    assert (fast.loss.alignment_weight_start, fast.loss.alignment_weight) == (1.0, 0.3)
    assert (fast.train.eval_every, fast.train.eval_every_share) == (1000, 0.05)
    assert fast.train.length_curriculum and fast.train.fast_convergence


def test_experimental_learns_from_short_utterances_first_and_enhanced_does_not():
    tiny = with_values(RunConfig(), {"model.size": "tiny"})
    assert apply_level(tiny, "experimental", 256).train.length_curriculum
    assert not apply_level(tiny, "enhanced", 256).train.length_curriculum


def test_fast_convergence_goes_no_faster_than_experimental_does():
    tiny = with_values(RunConfig(), {"model.size": "tiny"})
    for name in LEVELS:
        rates = apply_fast_convergence(apply_level(tiny, name, 256)).optim
        assert rates.lr <= 1e-3 and rates.lr_vector <= 1e-3, name
    assert (rates.lr, rates.lr_vector) == (1e-3, 1e-3)


@pytest.mark.parametrize("source", ["flag --lr", "--set optim.lr", "file run.yaml"])
def test_fast_convergence_leaves_values_by_hand_alone(source):
    config = with_values(RunConfig(), {"optim.lr": 1e-3, "loss.alignment_weight": 2.0, "train.eval_every": 50})
    provenance = dict.fromkeys(["optim.lr", "loss.alignment_weight", "train.eval_every"], source)
    layer = fast_convergence_layer(config, provenance)
    assert "optim.warmup_steps" in layer
    for key in ("optim.lr", "loss.alignment_weight_start", "train.eval_every", "train.eval_every_share"):
        assert key not in layer


@pytest.mark.parametrize(("total_steps", "warmup"), [(20_000, 1500), (15_000, 1500), (1000, 100), (3, 1)])
def test_warm_up_is_at_most_a_tenth_of_the_run(total_steps, warmup):
    config = apply_level(RunConfig(), "enhanced", 1024)
    fitted, provenance = apply_layer(config, {}, run_length_layer(config, {}, total_steps))
    assert fitted.optim.warmup_steps == warmup
    assert (f"of {total_steps} steps" in provenance.get("optim.warmup_steps", "")) == (warmup != 1500)


def test_the_share_of_warm_up_can_be_another():
    config = with_values(apply_level(RunConfig(), "enhanced", 1024), {"optim.warmup_share": 0.025})
    steps, reason = run_length_layer(config, {}, 1000)["optim.warmup_steps"]
    assert steps == 25 and reason.startswith("at most 2.5% of 1000 steps")


def test_a_cosine_period_longer_than_the_run_ends_with_it():
    config = apply_level(RunConfig(), "enhanced", 1024)
    assert run_length_layer(config, {}, 1000)["optim.first_period_steps"][0] == 900
    assert "optim.first_period_steps" not in run_length_layer(config, {}, 9500)
    noam = apply_level(RunConfig(), "basic", 1024)
    assert "optim.first_period_steps" not in run_length_layer(noam, {}, 1000)


def test_a_schedule_by_hand_is_not_fitted():
    user_set = {"optim.warmup_steps": "flag --x", "optim.first_period_steps": "--set y"}
    assert run_length_layer(apply_level(RunConfig(), "enhanced", 1024), user_set, 100) == {}


def test_by_hand_means_file_flag_or_set():
    reasons = {
        "a": "file x.json",
        "b": "flag --lr",
        "c": "--set c",
        "d": "level basic",
        "e": "hardware: 2 cores",
    }
    assert [is_user_set(reasons, key) for key in "abcdef"] == [True, True, True, False, False, False]
