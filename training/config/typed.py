"""Text, or what JSON and YAML give, as the type that a field of the configuration has."""

import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from training.config.config_file import read_yaml

# Of a number whose field says no more: what multiplies and adds up without leaving the types of torch and the clock.
MOST_WHOLE, MOST_REAL = 10**9, 1e38
YES, NO = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def numbers_of(typed: Any) -> Iterable[Any]:
    if isinstance(typed, dict):
        return typed.values()
    return typed if isinstance(typed, tuple) else (typed,)


def bounds_of(stated: Mapping[str, float], number: float) -> Mapping[str, float]:
    """The field's range, closed above."""
    if "at most" in stated or "below" in stated:
        return stated
    return {**stated, "at most": MOST_WHOLE if isinstance(number, int) else MOST_REAL}


def typed_as(hint: Any, value: Any) -> Any:
    """Raises TypeError or ValueError where `value` does not fit."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        is_none = value is None or (isinstance(value, str) and value.lower() in ("none", "null"))
        return None if is_none else typed_as(args[0], value)
    if origin is Literal:
        text = "no" if value is False else str(value)  # YAML reads a bare `no` as false
        return args[args.index(text)]
    if origin is dict:
        return _typed_mapping(read_yaml(value) if isinstance(value, str) else value, args[1])
    if origin is tuple:
        parts = value.split(",") if isinstance(value, str) else list(value)
        return tuple(typed_as(arg, part) for part, arg in zip(parts, args, strict=True))
    if hint is bool:
        word = str(value).lower()
        return word in YES if word in YES + NO else _refuse()
    if hint is str:
        return value if isinstance(value, str) and value.strip() and "\0" not in value else _refuse()
    if isinstance(value, bool) or value is None:
        _refuse()
    number = float(value)  # YAML reads 5e-5 as text
    if not math.isfinite(number):
        _refuse()
    if hint is int:
        return int(number) if number == int(number) else _refuse()
    return number


def _typed_mapping(value: Any, hint: Any) -> dict[str, Any]:
    """As JSON holds it; None, which YAML has for an empty line, is an empty one."""
    value = {} if value is None else value
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name.strip() for name in value):
        _refuse()
    if hint is Any:
        return json.loads(json.dumps(value, allow_nan=False))
    return {name: typed_as(hint, one) for name, one in value.items()}


def _refuse():
    raise TypeError


def expected_of(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(typing.get_args(hint))
    if typing.get_origin(hint) is types.UnionType:
        return expected_of(typing.get_args(hint)[0]) + ", or none"
    if typing.get_origin(hint) is dict:
        has_numbers = typing.get_args(hint)[1] is float
        return "names with " + (
            "a number each, as {energy: 0.5}" if has_numbers else "arguments, as {a.b:C: {every: 5}}"
        )
    if typing.get_origin(hint) is tuple:
        return "two numbers, as 0.9,0.98"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "text (not empty)"}[hint]


def in_range(number: float, bounds: Mapping[str, float]) -> bool:
    compare = {
        "at least": lambda bound: number >= bound,
        "at most": lambda bound: number <= bound,
        "above": lambda bound: number > bound,
        "below": lambda bound: number < bound,
    }
    return all(compare[word](bound) for word, bound in bounds.items())
