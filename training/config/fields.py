"""The configuration of a run: plain frozen dataclasses, one comment a field.

A value is addressed by its dotted key ("optim.lr"). Types, allowed choices and ranges stand at the field
itself (`within`), and `coerce` is the one place where text or YAML becomes a typed value, so a flag, `--set`
and a file are all checked alike. Nothing here imports torch.
"""

import difflib
import json
import typing
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from data_pipeline import plugins
from data_pipeline.errors import UserError
from training.config.config_file import read_file
from training.config.typed import bounds_of, expected_of, in_range, numbers_of, typed_as

# Keys that earlier versions had: configuration files, --set, and checkpoints of theirs are understood.
RENAMED = {"data.made_voices": "data.speaker_augmentation", "hub.data_licence": "hub.data_license"}

Layer = dict[str, tuple[Any, str]]  # dotted key -> (value, the reason for it)
Provenance = dict[str, str]  # dotted key -> where its value came from

DAY_S, YEAR_MIN = 86_400, 525_600
SHOWN = 200  # characters of a value in a message


def within(default, low=None, high=None, *, above=None, below=None):
    """A field with a range: `low` and `high` are allowed values, `above` and `below` are not."""
    bounds = {"at least": low, "at most": high, "above": above, "below": below}
    return field(default=default, metadata={k: v for k, v in bounds.items() if v is not None})


def among(default: str, built_in: tuple[str, ...], group: str):
    """A field with choices, to which installed packages add those of a group of entry points."""
    return field(default=default, metadata={"choices": built_in, "group": group})


@dataclass(frozen=True)
class DataConfig:
    train_data: str | None = None  # folder, file or Hub id; None: the default (see data_pipeline.sources)
    val_data: str | None = None  # the same; None: the part train_data holds out, else val_fraction of it
    dataset_config: str | None = None  # configuration name of a Hub dataset
    text_column: str | None = None  # None: found by its usual names
    audio_column: str | None = None  # None: found by its usual names
    speaker_column: str | None = None  # None: found by its usual names, or no speakers
    language_column: str | None = None  # None: found by its usual names, or no languages
    language: str | None = None  # language of rows that name none, as an ISO 639-1 code ("fa")
    text_units: Literal["characters", "phonemes", "espeak"] = "phonemes"  # what a text is read as; espeak: an extra
    speaker_augmentation: int = within(
        0, low=0, high=1000
    )  # shifts of pitch and formants that half of it gets; an extra
    speaker_balance: float = within(0.0, low=0, high=1)  # how far speakers of many rows give way; 0: not at all
    val_fraction: float = within(0.02, low=0, below=1)  # share held out, by a hash of the id, where nothing else is
    min_duration_s: float = within(0.3, low=0, high=DAY_S)  # shorter utterances are left out
    max_duration_s: float = within(20.0, above=0, high=DAY_S)  # longer utterances are left out
    max_text_chars: int = within(400, low=1)  # utterances with longer texts are left out
    num_workers: int = within(1, low=0, high=1024)  # loading processes per rank; 0: load in the training process
    max_batch_frames: int = within(16_000, low=1)  # padded mel frames per device batch, at most
    pool_batches: int = within(16, low=1, high=65_536)  # batches' worth of utterances sorted by length together
    shuffle_buffer: int = within(2000, low=1)  # undecoded rows shuffled together when streaming
    cache_mb: int = within(512, low=0)  # decoded features kept in memory, MB per rank
    max_broken_share: float = within(0.1, low=0, high=1)  # more broken rows than this stop the run
    exclude_list: str | None = None  # file with the ids of rows that are left out, one a line; --check-data writes one
    check_data: str | None = None  # do not train, write a report on the corpus into this folder; "run": the run folder
    check_rows: int = within(2000, low=1)  # recordings that the report on the corpus decodes, at most
    stall_minutes: float = within(30.0, above=0, high=YEAR_MIN)  # without the next batch for so long, the run ends


@dataclass(frozen=True)
class AudioPresetConfig:
    preset: Literal["16khz", "22khz", "24khz"] = "22khz"  # of data_pipeline.audio.PRESETS


@dataclass(frozen=True)
class ModelConfig:
    size: Literal["debug", "tiny", "small", "normal", "big"] = "normal"  # width 64, 256, 512, 1024, 1536
    frames_per_step: int | None = within(None, low=1, high=64)  # mel frames a decoder step makes; None: the size's own
    prenet_dropout: float = within(0.5, low=0, below=1)  # on the previous frame fed to the decoder
    gradient_checkpointing: bool = False  # recompute activations in backward: less memory, slower


@dataclass(frozen=True)
class LossConfig:
    mel_loss: Literal["l1", "huber"] = "l1"  # distance between mels, per element
    huber_delta: float = within(0.6, above=0, high=1e6)  # where Huber turns from square to line, in log-mel units
    mel_weight: float = within(45.0, low=0, high=1e6)  # factor of the mel loss, before and after the post-net
    kl_weight: float = within(1.0, low=0, high=1e6)  # factor of the KL loss of the voice
    stop_weight: float = within(1.0, low=0, high=1e6)  # factor of the token-end loss
    alignment_weight: float = within(1.0, low=0, high=1e6)  # factor of the alignment loss
    alignment_weight_start: float | None = within(None, low=0, high=1e6)  # where it starts to fall from; None: constant
    alignment_decay_share: float = within(0.3, above=0, high=1)  # share of the run in which it falls
    mel_smoothing: float = within(0.0, low=0, below=1)  # label smoothing of the mel target
    stop_smoothing: float = within(0.0, low=0, below=1)  # label smoothing of the token-end target
    # Name of a loss that an installed package adds -> its factor
    added_weights: dict[str, float] = field(default_factory=dict, metadata={"at least": 0, "at most": 1e6})
    adaptive_weights: bool = False  # move the weights, within half and double the values above
    loss_smoothing: float = within(0.08, above=0, high=1)  # new value's share in the running mean of a loss


@dataclass(frozen=True)
class OptimConfig:
    lr: float = within(5e-5, above=0)  # peak rate of matrix parameters, as used (after width scaling)
    lr_vector: float = within(5e-5, above=0)  # peak rate of norms, biases and embeddings (not width-scaled)
    weight_decay: float = within(1e-6, low=0)  # AdamW, decoupled
    clip_norm: float = within(1.0, above=0)  # largest global gradient norm
    warmup_steps: int = within(2000, low=0)  # optimizer steps
    schedule: Literal["noam", "cosine_restarts", "constant"] = "noam"  # after warm-up
    first_period_steps: int = within(8000, low=1)  # cosine_restarts: length of the first period
    restart_decay: float = within(0.8, above=0, high=1)  # cosine_restarts: each peak over the one before
    lr_floor: float = within(1e-7, low=0)  # no schedule goes below
    betas: tuple[float, float] = within((0.9, 0.98), low=0, below=1)  # AdamW
    eps: float = within(1e-8, above=0)  # AdamW


@dataclass(frozen=True)
class TrainConfig:
    # The recipe (training.config.levels)
    level: str = among("enhanced", ("basic", "enhanced", "experimental"), plugins.LEVELS)
    fast_convergence: bool = False  # the overlay that makes speech come early (training.config.levels)
    device: Literal["auto", "cpu", "cuda"] = "auto"  # where to run
    cpu_threads: int | None = within(None, low=1, high=4096)  # of each process on a CPU; None: as torch finds it
    mixed_precision: Literal["no", "bf16", "fp16", "fp8"] = "no"  # of autocast; weights stay fp32
    batch_size: int = within(16, low=1, high=65_536)  # utterances per device and micro-batch, at most
    grad_accum: int = within(1, low=1, high=65_536)  # micro-batches per optimizer step
    epochs: int = within(200, low=1)  # passes over the data, at most
    max_steps: int | None = within(None, low=1)  # optimizer steps, at most
    max_minutes: float | None = within(None, above=0, high=10 * YEAR_MIN)  # at most; the schedule is fitted
    seed: int = within(1234, low=0, high=2**32 - 1)  # of data order and initial weights
    early_stopping: bool = False  # stop when validation stands still, and go back to the best weights
    best_metric: Literal["auto", "eval_mel", "quality_cer"] = "auto"  # its lowest value is kept in best/
    patience_evaluations: int = within(40, low=1)  # evaluations without progress before stopping
    min_delta: float = within(5e-5, low=0)  # a smaller fall of the validation loss is no progress
    spike_detection: bool = False  # skip updates whose loss or gradient jumps; roll back after several
    eval_every: int | None = within(None, low=1)  # optimizer steps; None: at the end of each epoch
    eval_every_share: float | None = within(None, above=0, high=1)  # also after each such share of the run
    ema_decay: float | None = within(None, above=0, below=1)  # of averaged weights, which then ship; None: no average
    # Of the user's own: package.module:Class, or the name that a package gives it -> its arguments
    callbacks: dict[str, dict[str, Any]] = field(default_factory=dict)
    length_curriculum: bool = False  # the first 8192 rows go from short utterances to long, pool by pool
    debug: bool = False  # a half-minute end-to-end run


@dataclass(frozen=True)
class FineTuneConfig:
    init_from: str | None = None  # run folder, model folder or Hub id whose weights the run starts from; None: new ones
    freeze: str | None = None  # names or patterns of parameters that stay as they are, separated by commas
    lora_rank: int | None = within(None, low=1, high=65_536)  # of adapters in place of the matrices; None: no LoRA


@dataclass(frozen=True)
class CheckpointConfig:
    dir: str = "runs/goya"  # the run folder
    every_steps: int = within(500, low=1)  # optimizer steps between checkpoints
    keep: int = within(3, low=1)  # checkpoints kept, beside the best one
    resume: str = "auto"  # "auto": from the newest in dir, if any; "none"; or the path of a checkpoint
    reset: bool = False  # move an old run in dir aside and start over


@dataclass(frozen=True)
class LogConfig:
    tracker: Literal["tensorboard", "trackio", "wandb", "mlflow", "none"] = "tensorboard"  # where curves and samples go
    every_steps: int = within(10, low=1)  # optimizer steps between logged scalars
    samples_every_minutes: float = within(3.0, above=0, high=YEAR_MIN)  # between audio samples; the end always has one
    samples: int = within(3, low=0, high=1000)  # held-out sentences spoken each time
    quality_every: int = within(1000, low=1)  # optimizer steps between evaluations that judge speech, at least
    quality_sentences: int = within(12, low=0, high=10_000)  # held-out sentences spoken and judged each time; 0: none


@dataclass(frozen=True)
class HubConfig:
    push_to_hub: str | None = None  # id (owner/name) of the model repository that the run is pushed to; None: none
    public: bool = False  # a new repository is one that everybody can read
    branch: str = "main"  # of the repository, that the model goes to; training state to one beside it
    resume_from_hub: str | None = None  # id of a repository whose training state the run goes on from; None: none
    state_every_minutes: float = within(30.0, low=0, high=YEAR_MIN)  # between pushes of state, beside the end's
    wait_minutes: float = within(10.0, low=0, high=YEAR_MIN)  # for the last push, at the end of the run, at most
    data_license: str | None = None  # of the training data, as the Hub names it (cc0-1.0); None: unknown


@dataclass(frozen=True)
class RunConfig:
    data: DataConfig = field(default_factory=DataConfig)
    audio: AudioPresetConfig = field(default_factory=AudioPresetConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    fine_tune: FineTuneConfig = field(default_factory=FineTuneConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    log: LogConfig = field(default_factory=LogConfig)
    hub: HubConfig = field(default_factory=HubConfig)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Nested plain values, as JSON holds them; `from_dict` takes them back."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Mapping[str, Any]], source: str = "config") -> "RunConfig":
        """The inverse of `to_dict`; keys that are left out keep their defaults. Raises UserError."""
        return with_values(cls(), {key: coerce(key, v, source) for key, v in flatten(values, source).items()})

    def save(self, path: str | Path) -> None:
        Path(path).write_text(json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "RunConfig":
        """From a .json, .yaml or .yml file. Raises UserError."""
        return cls.from_dict(read_file(path), f"file {path}")


def _walk() -> Iterable[tuple[str, Any, Any]]:
    hints_of = typing.get_type_hints(RunConfig)
    for section in fields(RunConfig):
        hints = typing.get_type_hints(hints_of[section.name])
        for leaf in fields(hints_of[section.name]):
            yield f"{section.name}.{leaf.name}", leaf, hints[leaf.name]


# Dotted key -> field, type.
FIELDS: dict[str, tuple[Any, Any]] = {key: (leaf, hint) for key, leaf, hint in _walk()}


def choices(key: str) -> tuple[str, ...]:
    """The allowed values of a field that has a list of them, but for those that packages add; else nothing."""
    leaf, hint = FIELDS[key]
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else leaf.metadata.get("choices", ())


def _all_choices(key: str) -> tuple[str, ...]:
    built_in, group = choices(key), FIELDS[key][0].metadata.get("group")
    return tuple(plugins.names(group, dict.fromkeys(built_in))) if group else built_in


def get(config: RunConfig, key: str) -> Any:
    section, leaf = key.split(".")
    return getattr(getattr(config, section), leaf)


def with_values(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """A copy of `config` with the values of the dotted keys replaced, taken as they are (see `coerce`)."""
    sections: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        require_key(key)
        section, leaf = key.split(".")
        sections.setdefault(section, {})[leaf] = value
    return replace(config, **{name: replace(getattr(config, name), **new) for name, new in sections.items()})


def apply_layer(config: RunConfig, provenance: Provenance, layer: Layer) -> tuple[RunConfig, Provenance]:
    """Lays `layer` over both; neither argument is changed."""
    values = {key: value for key, (value, _) in layer.items()}
    reasons = {key: reason for key, (_, reason) in layer.items()}
    return with_values(config, values), provenance | reasons


def nearest(word: str, known: Iterable[str]) -> str:
    """' Did you mean X?' with the closest known word, or nothing."""
    word = word[:SHOWN]
    by_leaf = {name.rpartition(".")[2]: name for name in known}
    by_name = {name: name for name in known}
    for table, wanted in ((by_name, word), (by_leaf, word.rpartition(".")[2])):
        found = difflib.get_close_matches(wanted.lower(), table, n=1, cutoff=0.7)
        if found:
            return f" Did you mean {table[found[0]]}?"
    return ""


def require_key(key: str, source: str = "") -> None:
    if key not in FIELDS:
        where = f" ({source})" if source else ""
        hint = nearest(key, FIELDS) or " --print-config lists all keys."
        raise UserError(f"There is no setting {key[:SHOWN]!r}{where}.{hint}")


def coerce(key: str, value: Any, source: str) -> Any:
    """`value` (text, or what JSON and YAML give) as the type of the field `key`; text of a mapping is read as YAML.

    Raises UserError with the key, `source`, the value found and what was expected.
    """
    require_key(key, source)
    leaf, hint = FIELDS[key]
    try:
        typed = typed_as(hint, value)
        if "group" in leaf.metadata and typed not in choices(key) and typed not in _all_choices(key):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        expected = expected_of(hint) if "group" not in leaf.metadata else f"one of {', '.join(_all_choices(key))}"
        suggestion = nearest(str(value)[:SHOWN], _all_choices(key))
        raise UserError(f"{key} is {repr(value)[:SHOWN]} ({source}); expected {expected}.{suggestion}") from None
    for number in numbers_of(typed):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        bounds = bounds_of(leaf.metadata, number)
        if not in_range(number, bounds):
            told = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items())
            raise UserError(f"{key} is {str(value)[:SHOWN]} ({source}), which is out of range; expected {told}.")
    return typed


def flatten(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Nested sections, or dotted keys, to dotted keys. Raises UserError for a section that does not exist."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if value is None and any(key.startswith(f"{name}.") for key in FIELDS):
            continue  # a section of a YAML file with all its lines commented out
        nested = isinstance(value, Mapping)
        for key, leaf in ((f"{name}.{k}", v) for k, v in value.items()) if nested else ((str(name), value),):
            key = RENAMED.get(key, key)
            require_key(key, source)
            flat[key] = leaf
    return flat
