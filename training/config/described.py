"""What a setting means, takes and is by default, in words: for --help, --print-config and docs/settings.md."""

from typing import Any

from training.config.fields import FIELDS, RunConfig, choices, get
from training.config.levels import LEVELS, REFERENCE_WIDTH
from training.config.typed import expected_of

ADDED = "what an installed package adds"  # to the choices that are built in


def words(key: str) -> str:
    return FIELDS[key][0].metadata["words"]


def default(key: str) -> str | None:
    """In words; None where without a value there is nothing, or nothing happens."""
    plain = get(RunConfig(), key)
    by_level = {name: shown(level.get(key, plain)) for name, level in LEVELS.items()}
    if len(set(by_level.values())) > 1:
        at = f"at width {REFERENCE_WIDTH}: " if key == "optim.lr" else ""
        return at + ", ".join(f"{name} {value}" for name, value in by_level.items())
    otherwise = FIELDS[key][0].metadata.get("otherwise")
    if otherwise is not None:
        return otherwise
    return None if plain is None or plain is False or plain == {} else shown(plain)


def takes(key: str) -> str:
    """The choices, or the kind of value and its range."""
    leaf, hint = FIELDS[key]
    if "group" in leaf.metadata:
        return ", ".join((*choices(key), ADDED))
    if hint is bool:
        return "on or off"
    bounds = " and ".join(f"{word} {shown(bound)}" for word, bound in leaf.metadata["bounds"].items())
    return ", ".join(filter(None, (expected_of(hint).removeprefix("one of ").replace(" (not empty)", ""), bounds)))


def shown(value: Any) -> str:
    """A value as it is read best, and as `coerce` takes it where it is no mapping."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" if one != {} else name for name, one in value.items()) or "none"
    if isinstance(value, tuple):
        return ",".join(map(shown, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
