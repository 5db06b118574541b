"""Reading the file that --config names: of bounded size and depth, and what it says stands in it once."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_pipeline.errors import UserError

MOST_BYTES = 2**20
MOST_DEPTH = 10


def read_file(path: str | Path) -> dict[str, Any]:
    """The content of a .json, .yaml or .yml config file. Raises UserError where there is none to read."""
    path = Path(path)
    if not os.path.isfile(path):
        raise UserError(f"There is no config file {path}; --config expects a .json, .yaml or .yml file.")
    readers = {".json": json.loads, ".yaml": read_yaml, ".yml": read_yaml}
    if path.suffix not in readers:
        raise UserError(f"The config file {path} ends in {path.suffix!r}; expected .json, .yaml or .yml.")
    try:
        values = readers[path.suffix](_text(path))
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error) or "it is nested too deep"
        raise UserError(f"The config file {path} cannot be read: {reason[:500]}.") from None
    if not isinstance(values, Mapping):
        raise UserError(f"The config file {path} holds no settings; expected sections such as optim: with lr: below.")
    return dict(values)


def _text(path: Path) -> str:
    """Raises ValueError for what is no text, or more than settings can be."""
    with open(path, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES >> 20} MB, expected settings")
    if b"\0" in content:
        raise ValueError("it holds NUL bytes, expected text in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error


def read_yaml(text: str) -> Any:
    """Plain values, of bounded depth and without aliases. Raises ValueError for what is no YAML."""
    import yaml  # comes with accelerate

    class Loader(yaml.SafeLoader):
        """Without aliases: nine lines of them spell a thousand million values."""

        depth = 0

        def compose_node(self, parent, index):
            event = self.peek_event()
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"line {event.start_mark.line + 1} repeats another by an alias (*); write it out")
            self.depth += 1
            if self.depth > MOST_DEPTH:
                raise ValueError(f"line {event.start_mark.line + 1} is nested deeper than {MOST_DEPTH} levels")
            node = super().compose_node(parent, index)
            self.depth -= 1
            return node

    try:
        return yaml.load(text, Loader)  # noqa: S506  a safe one
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
