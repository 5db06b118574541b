"""A model's folder as a stranger may have made it: what is opened, how large it may be, and what its numbers may be.

Nothing but regular files inside the folder is opened, JSON is bounded in size and depth, and weights are safetensors
whose header is read before memory is taken for them. Whatever is wrong is one UserError.
"""

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HTTPError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from data_pipeline.errors import UserError

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
DESCRIPTION = ("*.json",)  # what is downloaded of a repository before its weights are
MOST_JSON_BYTES, MOST_DEPTH = 64 * 2**20, 20
MOST_FILES = 1000  # of weights
NAME = re.compile(r"[\w-][\w.-]*\.safetensors", re.ASCII)
# As safetensors names them; each becomes float32, and its bytes.
FLOATS = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}
USABLE_MEMORY = 0.9  # of what is free


class Number(NamedTuple):
    """A field of a configuration: a whole number, or any finite one, from low to high."""

    low: float
    high: float
    whole: bool = True


class Stored(NamedTuple):
    """A tensor of a safetensors file, as its header has it."""

    file: Path
    shape: tuple[int, ...]
    dtype: str


def fetched(where: str, patterns: tuple[str, ...], kind: str = "model") -> Path:
    """A folder as it is, or the snapshot of a Hub id with the files of these patterns. Raises UserError."""
    if os.path.isdir(where):
        return Path(where)
    try:
        return Path(snapshot_download(where, allow_patterns=list(patterns)))
    except (HTTPError, OSError, ValueError) as error:  # not on the Hub, no network, no such id
        raise UserError(
            f"no {kind} could be loaded from {where} ({_reason(error)}); expected "
            "a folder of this computer, or a Hub id that can be reached."
        ) from error


def regular_file(folder: Path, name: str) -> Path:
    """The file of that name, which lies in the folder itself. Raises UserError where it does not, or is none.

    A snapshot of the Hub's cache is a folder of links to the blobs beside it, which are as good as inside.
    """
    path, homes = folder / name, [folder.resolve()]
    if folder.resolve().parent.name == "snapshots":
        homes.append(folder.resolve().parents[1] / "blobs")
    try:
        target = path.resolve(strict=True)
        mode = target.stat().st_mode
    except (OSError, RuntimeError, ValueError) as error:  # a circle of links; NUL
        raise UserError(f"{path} cannot be opened ({_reason(error)}); expected a model's whole folder.") from error
    if not any(target.is_relative_to(home) for home in homes):
        raise UserError(
            f"{path} leads out of its folder, to {target}; expected a file. Copy it there, if you trust it."
        )
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is no regular file; expected one. Take the model from where it came from again.")
    return path


def check_only_files(folder: Path) -> str | None:
    """What in a folder, at any depth, is neither a regular file nor a folder; None where there is no such thing."""
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return f"{path.relative_to(folder)} is neither a file nor a folder"
    return None


def read_json(folder: Path, name: str, most_bytes: int = MOST_JSON_BYTES) -> dict[str, Any]:
    """An object of JSON. Raises UserError for one that is too large, too deep, no JSON, or no object."""
    path = regular_file(folder, name)
    try:
        with open(path, "rb") as file:
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise ValueError(f"more than {most_bytes >> 20} MB")
        found = json.loads(content)
        if not isinstance(found, dict):
            raise ValueError("no object of JSON")
        if depth(found) > MOST_DEPTH:
            raise ValueError(f"more than {MOST_DEPTH} levels deep")
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"{path} cannot be read ({_reason(error)}); expected the JSON that was saved with a model. Take it from "
            "where it came from again."
        ) from error
    return found


def depth(value: Any) -> int:
    """Levels of lists and mappings; without recursion, which a deep one would exhaust."""
    level, deepest = [value], 0
    while level := [one for one in level if isinstance(one, list | dict)]:
        deepest += 1
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return deepest


def check_numbers(found: Mapping[str, Any], fields: Mapping[str, Number], where: str) -> None:
    """Raises UserError for a field that is no number, or out of its range; one that is left out has its default."""
    for name, (low, high, whole) in fields.items():
        value = found.get(name, low)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (is_number and low <= value <= high and (not whole or isinstance(value, int))):
            kind = "a whole number" if whole else "a number"
            raise UserError(f"{where} has {name}: {str(value)[:60]}; expected {kind} from {low:g} to {high:g}.")


# Weights


def stored_weights(folder: Path) -> dict[str, Stored]:
    """Tensor name -> what the headers say of it, of the folder's one file or of the files that its index names.

    Raises UserError where there are none, where they are damaged, or hold what is no floating point number.
    """
    stored: dict[str, Stored] = {}
    for file in _weight_files(folder):
        with _opened(file) as opened:
            for name in opened.keys():
                part = opened.get_slice(name)
                if name in stored:
                    raise UserError(f"{file} holds {name}, as another file of the model does; expected it once.")
                if part.get_dtype() not in FLOATS:
                    raise UserError(f"{file} holds {name} as {part.get_dtype()}; expected one of {', '.join(FLOATS)}.")
                stored[name] = Stored(file, tuple(part.get_shape()), part.get_dtype())
    return stored


def _weight_files(folder: Path) -> list[Path]:
    if not (folder / INDEX).exists() or (folder / WEIGHTS).exists():
        return [regular_file(folder, WEIGHTS)]
    listed = read_json(folder, INDEX).get("weight_map")
    names = sorted(map(str, set(map(str, listed.values())))) if isinstance(listed, dict) else []
    for name in names:
        if not NAME.fullmatch(name):
            raise UserError(f"{folder / INDEX} names {name[:100]!r}; expected safetensors of the same folder.")
    if not 0 < len(names) <= MOST_FILES:
        raise UserError(f"{folder / INDEX} names {len(names)} files of weights; expected 1 to {MOST_FILES}.")
    return [regular_file(folder, name) for name in names]


@contextmanager
def _opened(file: Path) -> Iterator:
    """A safetensors file, whose header is checked against its length; nothing of it is in memory yet."""
    try:
        with safe_open(file, framework="pt") as opened:
            yield opened
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"The weights {file} are damaged ({_reason(error)}); expected a whole safetensors file. Copy it again."
        ) from error


def read_weights(stored: Mapping[str, Stored]) -> dict[str, Tensor]:
    """All of them as float32, in memory of their own. Raises UserError where one is not finite.

    Views into the file are aligned as it happens, so that products of them round otherwise than a resumed run's.
    """
    tensors = {}
    for file in dict.fromkeys(one.file for one in stored.values()):
        with _opened(file) as opened:
            for name in (name for name, one in stored.items() if one.file == file):
                tensors[name] = opened.get_tensor(name).to(torch.float32, copy=True)
                if not tensors[name].isfinite().all():
                    raise UserError(f"The weights {file} hold numbers that are not finite, in {name}; train it anew.")
    return tensors


def check_fit(expected: Mapping[str, Tensor], stored: Mapping[str, Stored], where: str) -> None:
    """Raises UserError unless the stored weights are those of a model, by names and shapes."""
    wrong = [f"{name} is missing" for name in expected if name not in stored]
    wrong += [f"{name} is none of its weights" for name in stored if name not in expected]
    wrong += [
        f"{name} is {list(stored[name].shape)} where the configuration has {list(weight.shape)}"
        for name, weight in expected.items()
        if name in stored and stored[name].shape != tuple(weight.shape)
    ]
    if wrong:
        raise UserError(
            f"The weights in {where} do not fit its config.json: {wrong[0][:200]}, {len(wrong)} in all; expected every "
            "weight of the model and no other. Take both files from one place."
        )


def check_memory(parameters: int, where: str) -> None:
    """Raises UserError where so many float32 parameters are more than what is free."""
    needed, free = 4 * parameters, psutil.virtual_memory().available
    if needed > USABLE_MEMORY * free:
        raise UserError(
            f"{where} describes a model of {parameters:,} parameters, which needs {needed / 2**30:.1f} GB, and "
            f"{free / 2**30:.1f} GB are free; expected one that fits. Is it a model of Goya's at all?"
        )


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).strip().splitlines()[0][:200] or type(error).__name__
