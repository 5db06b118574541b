"""What a reader of data_pipeline.reading.sources is asked for: a place, as the user wrote it, and a split of it."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from data_pipeline.reading.columns import ColumnNames
from data_pipeline.reading.files import files_below
from data_pipeline.reading.splits import TRAIN, of_split


@dataclass(frozen=True)
class Request:
    """where: as the user wrote it. path: the same, if it exists here. files: what it matches, if it is a pattern."""

    where: str
    columns: ColumnNames
    dataset_config: str | None
    split: str
    path: Path | None
    files: list[str] = field(default_factory=list)

    def of_kind(self, *suffixes: str) -> list[str] | None:
        """The files of this split with one of the suffixes; None where the place holds none of them at all."""
        found = [name for name in self.listing if name.lower().endswith(suffixes)]
        if self.files and found:  # a pattern is the user's own choice of what is trained on
            return found if self.split == TRAIN else []
        return of_split(found, self.split, str(self.path)) if found else None

    @cached_property
    def listing(self) -> list[str]:
        if self.path is None:
            return self.files
        return files_below(self.path) if self.path.is_dir() else [str(self.path)]

    def beside(self, name: str, depth: int = 0) -> list[str]:
        """The files of that name, in whatever case, in the folder itself or so many folders below it."""
        if self.path is None or not self.path.is_dir():
            return []
        parts = len(self.path.parts) + 1
        found = (path for path in self.listing if os.path.basename(path).lower() == name)
        return [path for path in found if len(Path(path).parts) - parts <= depth]
