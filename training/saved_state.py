"""What a checkpoint's JSON may hold: the same kinds of values, under the same names, as this run would write.

A checkpoint may be a stranger's (a folder, a Hub id); a value of another kind would end the run much later, far from
its cause.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_pipeline.errors import UserError

MOST_COUNT = 2**53
# What reading a value of the right kind that makes no sense ends in, in our code, torch and numpy.
ODD_VALUES = (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Odd values met while a checkpoint is read are one UserError."""
    try:
        yield
    except UserError:
        raise
    except ODD_VALUES as error:
        raise _odd(path, f"{type(error).__name__}: {str(error).strip()[:200]}") from error


def check_like(found: Any, own: Any, path: Path, place: str = "") -> None:
    """Raises UserError unless `found` is like `own`, this run's value of the same thing.

    An empty list or mapping of the run's own, and None, tell little: then anything of numbers, and text, will do.
    """
    if own is None or own in ({}, [], ()):
        kinds = () if own is None else (dict,) if isinstance(own, dict) else (list, tuple)
        if not _is_plain(found) or (kinds and not isinstance(found, kinds)):
            raise _odd(path, f"{place} is {_shown(found)}")
    elif isinstance(own, dict):
        for name, value in own.items():
            if not isinstance(found, dict) or name not in found:
                raise _odd(path, f"{place or 'it'} has no {name}")
            check_like(found[name], value, path, f"{place}.{name}".lstrip("."))
    elif isinstance(own, list | tuple):
        if not isinstance(found, list):
            raise _odd(path, f"{place} is {_shown(found)}")
        for one in found:
            check_like(one, own[0], path, place)
    elif not _is_of_kind(found, own):
        raise _odd(path, f"{place} is {_shown(found)} where this run has {_shown(own)}")


def check_callbacks(found: Any, own: dict[str, dict], path: Path) -> None:
    """As `check_like`, of those that both runs have."""
    for name, attributes in own.items():
        kept = found.get(name, {}) if isinstance(found, dict) else None
        if not isinstance(kept, dict):
            raise _odd(path, f"callbacks are {_shown(found)}")
        shared = {key: value for key, value in attributes.items() if key in kept}
        check_like(kept, shared, path, f"callbacks.{name}") if shared else None


def check_voices(found: Any, size: int, path: Path) -> None:
    """Raises UserError unless each voice is a list of `size` numbers."""
    voices = found.values() if isinstance(found, dict) else [found]
    for voice in voices:
        if not (isinstance(voice, list) and len(voice) == size and all(_is_number(one) for one in voice)):
            raise _odd(path, f"voices hold {_shown(voice)}; expected {size} numbers each")


def _is_of_kind(found: Any, own: Any) -> bool:
    if isinstance(own, bool) or isinstance(own, str):
        return isinstance(found, type(own))
    if isinstance(own, int):
        return isinstance(found, int) and not isinstance(found, bool) and min(own, 0) <= found <= MOST_COUNT
    return _is_number(found) or (isinstance(found, float) and repr(found) == repr(own))


def _is_plain(found: Any) -> bool:
    if isinstance(found, dict | list):
        return all(map(_is_plain, found.values() if isinstance(found, dict) else found))
    return found is None or isinstance(found, str | bool) or _is_number(found)


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)


def _shown(value: Any) -> str:
    return repr(value)[:60]


def _odd(path: Path, found: str) -> UserError:
    return UserError(
        f"{path} holds what no run of this kind writes ({found}); expected the state of a run. Go on from another "
        "checkpoint with --resume, or start over with --reset-training."
    )
