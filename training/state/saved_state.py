"""What a checkpoint's JSON may hold: the same kinds of values, under the same names, as this run would write.

A checkpoint may be a stranger's (a folder, a Hub id); a value of another kind would end the run much later, far from
its cause.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_pipeline.errors import UserError, shown

MOST_COUNT = 2**53
COUNTS = ("cursor.", "trainer.global_step", "evaluations_due", "step.parts")  # which no run is without
# What a value that makes no sense ends in. Not here: RuntimeError, as a lost rank is one, and OSError, of a corpus.
ODD_VALUES = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@contextmanager
def reading(path: Path, *more: type[Exception]) -> Iterator[None]:
    """Odd values met while a checkpoint is read, and `more`, are one UserError."""
    try:
        yield
    except UserError:
        raise
    except (*ODD_VALUES, *more) as error:
        raise _odd(path, f"{type(error).__name__}: {str(error).strip()[:200]}") from error


def check_like(found: Any, own: Any, path: Path, place: str = "") -> None:
    """Raises UserError unless `found` is like `own`, this run's value of the same thing.

    An empty list or mapping of the run's own, and None, tell little: then anything of numbers and text will do. What
    is not there yet may be None; names that are missing may be newer than the checkpoint.
    """
    if isinstance(own, dict) and own and isinstance(found, dict):
        for name in own.keys() & found.keys():
            check_like(found[name], own[name], path, f"{place}.{name}".lstrip("."))
    elif isinstance(own, list | tuple) and isinstance(found, list) and len(own) == len(found):
        for one, other in zip(found, own, strict=True):
            check_like(one, other, path, place)
    elif not is_plain(found) or not _is_of_kind(found, own, must_be=place.startswith(COUNTS)):
        raise _odd(path, f"{place or 'it'} is {shown(repr(found), 60)} where this run has {shown(repr(own), 60)}")


def check_callback(found: Any, name: str, own: dict, path: Path) -> None:
    """As `check_like`, of the state under `name` in what callbacks kept, where there is one."""
    kept = found.get(name, {}) if isinstance(found, dict) else None
    if not isinstance(kept, dict):
        raise _odd(path, f"callbacks are {shown(repr(found), 60)}")
    check_like(kept, own, path, f"callbacks.{name}")


def check_voices(found: Any, size: int, path: Path) -> None:
    """Raises UserError unless each voice is a list of `size` numbers."""
    voices = found.values() if isinstance(found, dict) else [found]
    for voice in voices:
        if not (isinstance(voice, list) and len(voice) == size and all(_is_number(one) for one in voice)):
            raise _odd(path, f"voices hold {shown(repr(voice), 60)}; expected {size} numbers each")


def check_scalars(found: dict, path: Path) -> None:
    """Raises UserError unless each of an optimizer's own numbers is one."""
    for name, value in found.items():
        if not _is_number(value):
            raise _odd(path, f"scalars.{name} is {shown(repr(value), 60)}; expected a number")


def _is_of_kind(found: Any, own: Any, must_be: bool) -> bool:
    if own is None or (found is None and not must_be):
        return True
    if isinstance(own, bool | str):
        return isinstance(found, type(own))
    if isinstance(own, int):
        return isinstance(found, int) and not isinstance(found, bool) and min(own, 0) <= found <= MOST_COUNT
    if isinstance(own, float):
        return _is_number(found)
    return isinstance(found, dict if isinstance(own, dict) else list)


def is_plain(found: Any) -> bool:
    """Whether JSON holds it and gives the same back."""
    if isinstance(found, dict):
        return all(isinstance(name, str) and is_plain(value) for name, value in found.items())
    if isinstance(found, list):
        return all(map(is_plain, found))
    is_infinite = isinstance(found, float) and found == math.inf
    return found is None or isinstance(found, str | bool) or _is_number(found) or is_infinite


def _is_number(found: Any) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)


def _odd(path: Path, found: str) -> UserError:
    return UserError(
        f"{path} holds what no run of this kind writes ({found}); expected the state of a run. Go on from another "
        "checkpoint with --resume, or start over with --reset-training."
    )
