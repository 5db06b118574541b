"""The optimization levels, and two adjustments of them: fast convergence and the fit to the run's length.

Each is a pure function that answers with a layer (dotted key -> value and reason); `training.config.resolve` lays
them over one another and keeps what the user gave explicitly, so that nothing of that is ever scaled.

A level is settings under one name. A new one is one more entry in LEVELS (and its name in the choices of
`training.config.settings.TrainConfig.level`), or a mapping that a package of your own adds (docs/extending.md).
"""

from typing import Any

from data_pipeline import plugins
from training.config.fields import Layer, Provenance, RunConfig, coerce, is_user_set, with_values

REFERENCE_WIDTH = 1024  # the learning rates below are for this model width (size normal)
FAST_RATE = 3.0  # fast convergence: times the level's rate,
# but never past what experimental has found to be the most, at REFERENCE_WIDTH and of vectors (benchmarks/LOG.md).
MOST_RATE, MOST_RATE_VECTOR = 2.5e-4, 1e-3
FAST_ALIGNMENT_START = 1.0  # fast convergence: first weight of the alignment loss
FAST_EVAL_STEPS = 1000  # fast convergence: an evaluation after so many steps,
FAST_EVAL_SHARE = 0.05  # or after this share of the run, whichever comes first


# Dotted key -> value, at REFERENCE_WIDTH; what is not here keeps its default (training.config.settings).
BASIC: dict[str, Any] = {
    "optim.lr": 5e-5,
    "optim.lr_vector": 5e-5,
    "optim.weight_decay": 1e-6,
    "optim.clip_norm": 1.0,
    "optim.warmup_steps": 2000,
    "optim.schedule": "noam",
    "loss.mel_loss": "l1",
    "loss.mel_weight": 45.0,
    "loss.kl_weight": 1.0,
    "loss.stop_weight": 1.0,
    "loss.alignment_weight": 1.0,
    "loss.mel_smoothing": 0.0,
    "loss.stop_smoothing": 0.0,
    "loss.adaptive_weights": False,
    "train.epochs": 200,
    "train.grad_accum": 16,
    "train.spike_detection": False,
    "train.early_stopping": False,
}
ENHANCED: dict[str, Any] = {
    "optim.lr": 8e-5,
    "optim.lr_vector": 8e-5,
    "optim.weight_decay": 5e-7,
    "optim.clip_norm": 0.8,
    "optim.warmup_steps": 1500,
    "optim.schedule": "cosine_restarts",
    "optim.first_period_steps": 8000,
    "optim.restart_decay": 0.8,
    "optim.lr_floor": 1e-7,
    "loss.mel_loss": "huber",
    "loss.huber_delta": 0.6,
    "loss.mel_weight": 22.0,
    "loss.kl_weight": 1.8,
    "loss.stop_weight": 1.5,
    "loss.alignment_weight": 0.3,
    "loss.mel_smoothing": 0.025,
    "loss.stop_smoothing": 0.06,
    "loss.adaptive_weights": True,
    "loss.loss_smoothing": 0.08,
    "train.epochs": 500,
    "train.grad_accum": 2,
    "train.spike_detection": True,
    "train.early_stopping": True,
    "train.patience_evaluations": 40,
    "train.min_delta": 5e-5,
}
# Only what a dated measurement in benchmarks/LOG.md shows to help.
EXPERIMENTAL: dict[str, Any] = ENHANCED | {
    "optim.lr": MOST_RATE,  # 2026-11-25: with one batch a step; twice this rate speaks less clearly
    "optim.lr_vector": MOST_RATE_VECTOR,  # 2026-11-25: what 2.5e-4 becomes for matrices of size tiny
    "train.grad_accum": 1,  # 2026-11-25
    "train.length_curriculum": True,  # 2026-11-26
}
LEVELS: dict[str, dict[str, Any]] = {"basic": BASIC, "enhanced": ENHANCED, "experimental": EXPERIMENTAL}


def width_of(size: str) -> int:
    """Model width D of a size."""
    from modeling.configuration import SIZES  # imports transformers: not before it is needed

    return SIZES[size]["hidden_size"]


def level_layer(name: str, width: int) -> Layer:
    """The values of level `name` for a model of `width`.

    The rate of matrix parameters scales as REFERENCE_WIDTH / width (muP: Yang et al. 2022, Tensor Programs V,
    table 8, Adam); vectors (norms, biases, embeddings) keep the published rate, and all else its value.

    Raises UserError where a package's level cannot be had, or sets what there is not or cannot be.
    """
    level, reason = plugins.find(plugins.LEVELS, name, LEVELS, dict), f"level {name}"
    assert level is not None  # the configuration has no other name
    layer: Layer = {key: (coerce(key, value, reason), reason) for key, value in level.items()}
    if width != REFERENCE_WIDTH and "optim.lr" in layer:
        rate = layer["optim.lr"][0]
        scaled = f"{reason}: {rate:g} x {REFERENCE_WIDTH}/{width}"
        layer["optim.lr"] = (_rounded(rate * REFERENCE_WIDTH / width), scaled)
    return layer


def apply_level(config: RunConfig, name: str, width: int) -> RunConfig:
    """`config` with level `name` on it, for a model of `width`."""
    values = {key: value for key, (value, _) in level_layer(name, width).items()}
    return with_values(config, values | {"train.level": name})


def fast_convergence_layer(config: RunConfig, provenance: Provenance) -> Layer:
    """The overlay on the level that is in `config`; it leaves alone what was given explicitly.

    The alignment is learned first (its loss starts heavier, on short utterances), at a higher rate and after
    a shorter warm-up. What each part brings is for benchmarks/LOG.md to say.
    """

    def then(key: str, what: str) -> str:
        return f"{provenance.get(key, 'level')}; fast convergence: {what}"

    def faster(key: str, rate: float, most: float) -> tuple[float, str]:
        found = max(rate, min(FAST_RATE * rate, most))
        return _rounded(found), then(key, f"x{found / rate:.3g}")

    most = MOST_RATE * REFERENCE_WIDTH / width_of(config.model.size)
    layer: Layer = {
        "optim.lr": faster("optim.lr", config.optim.lr, most),
        "optim.lr_vector": faster("optim.lr_vector", config.optim.lr_vector, MOST_RATE_VECTOR),
        "optim.warmup_steps": (config.optim.warmup_steps // 2, then("optim.warmup_steps", "halved")),
        "train.length_curriculum": (True, "fast convergence: short utterances first"),
    }
    if not is_user_set(provenance, "loss.alignment_weight"):
        reason = f"fast convergence: falls from {FAST_ALIGNMENT_START:g} to {config.loss.alignment_weight:g}"
        layer["loss.alignment_weight_start"] = (FAST_ALIGNMENT_START, reason)
    if not is_user_set(provenance, "train.eval_every"):
        reason = f"fast convergence: each {FAST_EVAL_STEPS} steps or {FAST_EVAL_SHARE:.0%} of the run"
        layer["train.eval_every"] = (FAST_EVAL_STEPS, reason)
        layer["train.eval_every_share"] = (FAST_EVAL_SHARE, reason)
    return {key: value for key, value in layer.items() if not is_user_set(provenance, key)}


def apply_fast_convergence(config: RunConfig) -> RunConfig:
    """`config` with the overlay on it."""
    values = {key: value for key, (value, _) in fast_convergence_layer(config, {}).items()}
    return with_values(config, values | {"train.fast_convergence": True})


def run_length_layer(config: RunConfig, provenance: Provenance, total_steps: int) -> Layer:
    """What has to give for a run of `total_steps` optimizer steps: empty where the run is long enough.

    Warm-up is at most `optim.warmup_share` of the run, and a cosine period longer than the run is cut to it, so
    that the rate gets down to its floor. Values given explicitly stay. The loop calls this too, once it knows how many
    steps a time budget or a number of epochs makes.
    """
    layer: Layer = {}
    warmup, share = config.optim.warmup_steps, config.optim.warmup_share
    if warmup > share * total_steps and not is_user_set(provenance, "optim.warmup_steps"):
        warmup = max(1, int(share * total_steps))
        reason = f"at most {100 * share:g}% of {total_steps} steps ({config.optim.warmup_steps} before)"
        layer["optim.warmup_steps"] = (warmup, reason)
    period, left = config.optim.first_period_steps, max(1, total_steps - warmup)
    cosine = config.optim.schedule == "cosine_restarts"
    if cosine and period > left and not is_user_set(provenance, "optim.first_period_steps"):
        reason = f"what warm-up leaves of {total_steps} steps ({period} before)"
        layer["optim.first_period_steps"] = (left, reason)
    return layer


def _rounded(rate: float) -> float:
    """Without the noise of binary fractions: 0.00096, not 0.0009600000000000001."""
    return float(f"{rate:.9g}")
