"""Every setting, described once: its type, default, range or choices, and what it means.

`--help`, `--print-config` and docs/settings.md say what stands here (training.config.arguments, .resolve,
.settings_page). A description goes on where the name of the setting ends; units are in the name, or said.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from data_pipeline import plugins

DAY_S, YEAR_MIN = 86_400, 525_600


def setting(default, words: str, *, otherwise: str | None = None, choices=None, group: str | None = None, **bounds):
    """A field of a group.

    Args:
        words: what it means, without its default.
        otherwise: where the value comes from where none is given, if not from the default or the level.
        choices: of text whose type does not list them; installed packages add those of a `group` of entry points.
        bounds: `low` and `high` are allowed values, `above` and `below` are not.
    """
    names = {"low": "at least", "high": "at most", "above": "above", "below": "below"}
    stated = {names[name]: bound for name, bound in bounds.items()}
    facts: Mapping[str, Any] = {"words": words, "otherwise": otherwise, "choices": choices, "group": group}
    metadata = {"bounds": stated} | {name: fact for name, fact in facts.items() if fact is not None}
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


BY_NAME = "found by its usual names"
BY_DEVICE = "by the device and its memory"


@dataclass(frozen=True)
class DataConfig:
    train_data: str | None = setting(
        None, "folder, csv, jsonl, parquet, tar, or the id of a Hub dataset", otherwise="the embedded demo corpus"
    )
    val_data: str | None = setting(
        None, "the same, for validation", otherwise="what the training data holds out, or a fixed share of it"
    )
    dataset_config: str | None = setting(None, "configuration of a Hub dataset")
    text_column: str | None = setting(None, "column of the transcript", otherwise=BY_NAME)
    audio_column: str | None = setting(None, "column of the audio: a path, bytes, or samples", otherwise=BY_NAME)
    speaker_column: str | None = setting(None, "column of the speaker", otherwise=f"{BY_NAME}, or no speakers")
    language_column: str | None = setting(None, "column of the language", otherwise=f"{BY_NAME}, or no languages")
    language: str | None = setting(None, "language of rows that name none, as an ISO 639-1 code such as fa")
    text_units: Literal["characters", "phonemes", "espeak"] = setting(
        "phonemes", "what a text is read as; espeak is an extra", otherwise="phonemes, where the language has them"
    )
    speaker_augmentation: int = setting(
        0, "shifts of pitch and formants that utterances are heard in too; an extra", low=0, high=1000
    )
    recorded_share: float = setting(
        0.5, "share of the utterances that speaker augmentation leaves as recorded", low=0, below=1
    )
    speaker_balance: float = setting(0.0, "how far speakers of many rows give way; 0: not at all", low=0, high=1)
    val_fraction: float = setting(0.02, "share held out, by a hash of the id, where nothing else is", low=0, below=1)
    min_duration_s: float = setting(0.3, "shorter utterances are left out", low=0, high=DAY_S)
    max_duration_s: float = setting(20.0, "longer utterances are left out", above=0, high=DAY_S)
    max_text_chars: int = setting(400, "utterances with longer texts are left out", low=1)
    reference_s: tuple[float, float] = setting(
        (1.0, 3.0),
        "shortest and longest clip that the voice is taken from in training: short, so that it tells who "
        "speaks rather than what",
        low=0.1,
        high=600,
    )
    num_workers: int = setting(
        1,
        "loading processes per training process; 0: load in the training process",
        otherwise="by the cores",
        low=0,
        high=1024,
    )
    max_batch_frames: int = setting(
        16_000, "padded mel frames per device and micro-batch, at most", otherwise=BY_DEVICE, low=1
    )
    pool_batches: int = setting(
        16, "batches' worth of utterances sorted by length together", otherwise="by the batch size", low=1, high=65_536
    )
    shuffle_buffer: int = setting(2000, "undecoded rows shuffled together when streaming", low=1)
    cache_mb: int = setting(512, "decoded features kept in memory, MB per rank", low=0)
    max_broken_share: float = setting(0.1, "a larger share of broken rows stops the run", low=0, high=1)
    exclude_list: str | None = setting(
        None, "file with the ids of rows to leave out, one a line, as --check-data writes it"
    )
    check_data: str | None = setting(
        None, "do not train, report on the corpus, into this folder; run, or none named: data_check in the run folder"
    )
    check_rows: int = setting(2000, "recordings that the report on the corpus decodes, at most", low=1)
    stall_minutes: float = setting(30.0, "without the next batch for so long, the run ends", above=0, high=YEAR_MIN)


@dataclass(frozen=True)
class AudioPresetConfig:
    preset: Literal["16khz", "22khz", "24khz"] = setting("22khz", "sample rate and mel convention")


@dataclass(frozen=True)
class ModelConfig:
    size: Literal["debug", "tiny", "small", "normal", "big"] = setting(
        "normal", "size of the model: width 64, 256, 512, 1024, 1536", otherwise=BY_DEVICE
    )
    frames_per_step: int | None = setting(
        None, "mel frames that a decoder step makes", otherwise="the size's own", low=1, high=64
    )
    prenet_dropout: float = setting(0.5, "dropout on the previous frame fed to the decoder", low=0, below=1)
    gradient_checkpointing: bool = setting(False, "recompute activations in the backward pass: less memory, slower")


@dataclass(frozen=True)
class LossConfig:
    mel_loss: Literal["l1", "huber"] = setting("l1", "distance between mels, per element")
    huber_delta: float = setting(
        0.6, "where Huber's loss turns from square to line, in log-mel units", above=0, high=1e6
    )
    mel_weight: float = setting(45.0, "weight of the mel loss, before and after the post-net", low=0, high=1e6)
    kl_weight: float = setting(1.0, "weight of the KL loss of the voice", low=0, high=1e6)
    stop_weight: float = setting(1.0, "weight of the token-end loss", low=0, high=1e6)
    alignment_weight: float = setting(1.0, "weight of the alignment loss", low=0, high=1e6)
    alignment_weight_start: float | None = setting(
        None, "where the weight of the alignment loss starts to fall from; none: constant", low=0, high=1e6
    )
    alignment_decay_share: float = setting(0.3, "share of the run in which that weight falls", above=0, high=1)
    mel_smoothing: float = setting(0.0, "label smoothing of the mel target", low=0, below=1)
    stop_smoothing: float = setting(0.0, "label smoothing of the token-end target", low=0, below=1)
    added_weights: dict[str, float] = setting(
        {}, "weight of each loss that an installed package adds, by its name", low=0, high=1e6
    )
    adaptive_weights: bool = setting(False, "let the weights follow how fast each loss falls")
    adaptive_bounds: tuple[float, float] = setting(
        (0.5, 2.0), "lowest and highest that adaptive weights get, times the weights above", low=0, high=1e3
    )
    adaptive_temperature: float = setting(
        2.0, "temperature of adaptive weights: the higher, the less they differ", low=0.1, high=1e3
    )
    adaptive_every_steps: int = setting(100, "optimizer steps between two changes of adaptive weights", low=1)
    loss_smoothing: float = setting(0.08, "the new value's share in the running mean of a loss", above=0, high=1)


@dataclass(frozen=True)
class OptimConfig:
    lr: float = setting(
        5e-5,
        "peak learning rate of matrix parameters, after width scaling; given explicitly, of all parameters, as given",
        above=0,
    )
    lr_vector: float = setting(5e-5, "peak learning rate of norms, biases and embeddings, not scaled by width", above=0)
    weight_decay: float = setting(1e-6, "AdamW, decoupled", low=0)
    clip_norm: float = setting(1.0, "largest global gradient norm", above=0)
    warmup_steps: int = setting(2000, "optimizer steps in which the rate rises to its peak", low=0)
    warmup_share: float = setting(
        0.1, "share of the run that warm-up takes at most, where its steps are not given explicitly", above=0, high=1
    )
    schedule: Literal["noam", "cosine_restarts", "constant"] = setting("noam", "the learning rate after warm-up")
    first_period_steps: int = setting(8000, "cosine_restarts: optimizer steps of the first period", low=1)
    period_growth: float = setting(2.0, "cosine_restarts: each period over the one before", low=1, high=1e3)
    restart_decay: float = setting(0.8, "cosine_restarts: each peak over the one before", above=0, high=1)
    lr_floor: float = setting(1e-7, "no schedule goes below", low=0)
    betas: tuple[float, float] = setting((0.9, 0.98), "AdamW", low=0, below=1)
    eps: float = setting(1e-8, "AdamW", above=0)


@dataclass(frozen=True)
class TrainConfig:
    level: str = setting("enhanced", "the recipe", choices=("basic", "enhanced", "experimental"), group=plugins.LEVELS)
    fast_convergence: bool = setting(False, "overlay on the level: speech comes early")
    device: Literal["auto", "cpu", "cuda"] = setting("auto", "where to train")
    cpu_threads: int | None = setting(
        None, "threads of each process on a CPU; none: as torch finds it", otherwise="by the cores", low=1, high=4096
    )
    mixed_precision: Literal["no", "bf16", "fp16", "fp8"] = setting(
        "no", "precision of autocast; weights stay fp32", otherwise="the best that is native"
    )
    batch_size: int = setting(
        16, "utterances per device and micro-batch, at most", otherwise=BY_DEVICE, low=1, high=65_536
    )
    grad_accum: int = setting(1, "micro-batches per optimizer step", low=1, high=65_536)
    epochs: int = setting(200, "passes over the data, at most", low=1)
    max_steps: int | None = setting(None, "optimizer steps, at most", low=1)
    max_minutes: float | None = setting(
        None,
        "training time, at most; the schedule is fitted to it",
        otherwise="by device and corpus, where no end is given",
        above=0,
        high=10 * YEAR_MIN,
    )
    seed: int = setting(1234, "of data order and initial weights", low=0, high=2**32 - 1)
    early_stopping: bool = setting(False, "stop when validation stands still, and go back to the best weights")
    best_metric: Literal["auto", "eval_mel", "quality_cer"] = setting(
        "auto", "its lowest value is kept in best/; auto: quality_cer where speech can be judged"
    )
    patience_evaluations: int = setting(40, "evaluations without progress before stopping early", low=1)
    min_delta: float = setting(5e-5, "a smaller fall of the validation loss is no progress", low=0)
    spike_detection: bool = setting(
        False, "skip updates whose loss or gradient norm is a spike; roll back after several"
    )
    spike_factor: float = setting(4.0, "a spike is so many times the running mean", above=1, high=1e6)
    spike_settle_steps: int = setting(50, "optimizer steps before which nothing is a spike", low=0)
    spike_patience: int = setting(3, "skipped updates in a row that ask for a roll-back", low=1)
    spike_window: int = setting(
        20, "updates of which more than half skipped ask for a roll-back too", low=2, high=10**6
    )
    max_roll_backs: int = setting(5, "more of them end the run", low=0)
    roll_back_rate: float = setting(0.5, "the learning rate after a roll-back, over that before", above=0, high=1)
    eval_every: int | None = setting(
        None, "optimizer steps between evaluations", otherwise="at the end of each epoch", low=1
    )
    eval_every_share: float | None = setting(None, "evaluate after each such share of the run too", above=0, high=1)
    ema_decay: float | None = setting(
        None, "decay of the averaged weights (EMA), which then ship; none: no average", above=0, below=1
    )
    callbacks: dict[str, dict[str, Any]] = setting(
        {},
        "callbacks of your own, by package.module:Class or the name that an installed package gives it "
        "(docs/extending.md); arguments stand in the config file, as train: {callbacks: {package.module:Class: "
        "{argument: value}}}",
    )
    length_curriculum: bool = setting(False, "the first rows go from short utterances to long, pool by pool")
    curriculum_rows: int = setting(
        8192,
        "rows that the length curriculum orders; what a long first epoch holds after them is in drawn order",
        low=1,
    )
    debug: bool = setting(False, "a half-minute end-to-end run of the debug size")


@dataclass(frozen=True)
class FineTuneConfig:
    init_from: str | None = setting(
        None,
        "start from the weights of this model: a run folder, a model's folder, a Hub id, or base, which ships; none: "
        "new ones",
        otherwise="base for a model of its kind, else none",
    )
    freeze: str | None = setting(
        None, "names or patterns of parameters that stay as they are, such as text_encoder,decoder.layers"
    )
    lora_rank: int | None = setting(
        None, "train adapters of this rank in place of the matrices (extra lora)", low=1, high=65_536
    )


@dataclass(frozen=True)
class CheckpointConfig:
    dir: str = setting(
        "runs/goya", "the run folder: checkpoints, samples, logs", otherwise="named after corpus, size and level"
    )
    every_steps: int = setting(500, "optimizer steps between checkpoints", low=1)
    keep: int = setting(3, "checkpoints kept, beside the best one", low=1)
    resume: str = setting("auto", "go on from a checkpoint, by its path; auto: from the newest in the run folder; none")
    reset: bool = setting(False, "move an old run in the folder aside and start over")


@dataclass(frozen=True)
class LogConfig:
    tracker: Literal["tensorboard", "trackio", "wandb", "mlflow", "none"] = setting(
        "tensorboard", "where curves and samples go"
    )
    every_steps: int = setting(10, "optimizer steps between logged scalars", low=1)
    samples_every_minutes: float = setting(3.0, "between audio samples; the end always has one", above=0, high=YEAR_MIN)
    samples: int = setting(3, "held-out sentences spoken each time", low=0, high=1000)
    quality_every: int = setting(1000, "optimizer steps between evaluations that judge speech, at least", low=1)
    quality_sentences: int = setting(12, "held-out sentences spoken and judged each time; 0: none", low=0, high=10_000)
    quality_share: float = setting(
        0.05,
        "share of the run's time that judging speech takes at most, where the run has a number of minutes or "
        "the mel loss chooses the best checkpoint",
        above=0,
        high=1,
    )


@dataclass(frozen=True)
class HubConfig:
    push_to_hub: str | None = setting(None, "push the model to this repository (owner/name) whenever it is better")
    public: bool = setting(False, "make a new repository that everybody can read; without it, a private one")
    branch: str = setting(
        "main",
        "branch of the repository that the model goes to, such as one for each run; training state goes to one "
        "beside it",
    )
    resume_from_hub: str | None = setting(None, "go on from the training state in this repository")
    state_every_minutes: float = setting(
        30.0, "between pushes of training state, beside the end's", low=0, high=YEAR_MIN
    )
    wait_minutes: float = setting(
        10.0, "that the end of the run waits for the last push, at most", low=0, high=YEAR_MIN
    )
    data_license: str | None = setting(
        None, "license of the training data, as the Hub names it, such as cc0-1.0; none: unknown"
    )
