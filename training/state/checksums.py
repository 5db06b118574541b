"""Whether a folder still holds what was written: a checksum of each file, and files that outlast a power cut."""

import hashlib
import json
import os
from pathlib import Path

from data_pipeline.errors import UserError
from inference.safe_folder import check_only_files, read_json

CHECKSUMS = "checksums.json"


def seal(folder: Path) -> None:
    """Write the checksums of everything in `folder`, then hand all of it to the disk (fsync)."""
    listed = {str(path.relative_to(folder)): _sha256(path) for path in _files(folder)}
    (folder / CHECKSUMS).write_text(json.dumps(listed, indent=1), encoding="utf-8")
    for path in (*_files(folder), folder / CHECKSUMS, *(path for path in folder.rglob("*") if path.is_dir()), folder):
        flush(path)


def damage(folder: Path) -> str | None:
    """What differs from what `seal` saw, or None. Only files inside the folder are ever opened."""
    odd = check_only_files(folder)
    if odd is not None:
        return odd
    try:
        listed = read_json(folder, CHECKSUMS)
    except UserError:
        return f"{CHECKSUMS} cannot be read"
    here = {str(path.relative_to(folder)): path for path in _files(folder)}
    for name, expected in listed.items():
        if name not in here:
            return f"{name} is missing"
        if _sha256(here[name]) != expected:
            return f"{name} is not what was written"
    return None


def flush(path: Path) -> None:
    """A file or folder to the disk; renaming is durable once the folder around it is flushed."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _files(folder: Path) -> list[Path]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return [path for path in found if path != folder / CHECKSUMS]


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
