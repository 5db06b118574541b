"""Reading the file that --config names."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_pipeline.errors import UserError


def read_file(path: str | Path) -> dict[str, Any]:
    """The content of a .json, .yaml or .yml config file. Raises UserError where there is none to read."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no config file {path}; --config expects a .json, .yaml or .yml file.")
    readers = {".json": json.loads, ".yaml": _read_yaml, ".yml": _read_yaml}
    if path.suffix not in readers:
        raise UserError(f"The config file {path} ends in {path.suffix!r}; expected .json, .yaml or .yml.")
    try:
        values = readers[path.suffix](path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"The config file {path} cannot be read: {error}.") from None
    if not isinstance(values, Mapping):
        raise UserError(f"The config file {path} holds no settings; expected sections such as optim: with lr: below.")
    return dict(values)


def _read_yaml(text: str) -> Any:
    import yaml  # comes with accelerate

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
