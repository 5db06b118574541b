"""The configuration of a run: plain frozen dataclasses, a group each (training.config.settings).

A value is addressed by its dotted key ("optim.lr"). Types, allowed choices and ranges stand at the field
itself, and `coerce` is the one place where text or YAML becomes a typed value, so a flag, `--set`
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
from training.config.settings import (
    AudioPresetConfig,
    CheckpointConfig,
    DataConfig,
    FineTuneConfig,
    HubConfig,
    LogConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
)
from training.config.typed import bounds_of, expected_of, in_range, numbers_of, typed_as

# Keys that earlier versions had: configuration files, --set, and checkpoints of theirs are understood.
RENAMED = {"data.made_voices": "data.speaker_augmentation", "hub.data_licence": "hub.data_license"}

Layer = dict[str, tuple[Any, str]]  # dotted key -> (value, the reason for it)
Provenance = dict[str, str]  # dotted key -> where its value came from

SHOWN = 200  # characters of a value in a message


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


def is_user_set(provenance: Provenance, key: str) -> bool:
    """Whether the user gave the value: by a file, a flag or --set."""
    return provenance.get(key, "default").startswith(("file ", "flag ", "--set"))


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
        bounds = bounds_of(leaf.metadata["bounds"], number)
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
