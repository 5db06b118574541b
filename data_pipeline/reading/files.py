"""What lies in a folder, as a file manager would show it, and a file by the name that a table has for it."""

import os
import unicodedata
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path

from data_pipeline.reading.source_rows import AUDIO_SUFFIXES

# Where the audio of a table lies: beside it, or as LJSpeech, Common Voice and others have it.
AUDIO_FOLDERS = ("", "wavs", "wav", "clips", "audio")
# What systems leave beside one's files (macOS, Windows, Synology, Linux, Python, npm), in lower case.
NOT_DATA = ("__macosx", "$recycle.bin", "system volume information", "@eadir", "#recycle", "lost+found", "__pycache__",
            "node_modules")  # fmt: skip
RUN_FOLDER = {"checkpoints", "logs"}  # what a folder of train_main.py holds
EXCLUDE_LIST_HEADING = b"id\treason"  # of the list that --check-data writes


def files_below(folder: str | Path) -> list[str]:
    """Every file below a folder, sorted; neither hidden ones nor what systems and our own runs and checks leave.

    Links are followed, to each folder once, so that those that lead in circles end. Raises OSError for a folder that
    cannot be read.
    """
    found: list[str] = []
    seen: set[str] = set()
    folders, links = deque([str(folder)]), deque()
    while folders or links:
        here = (folders or links).popleft()  # a folder goes by its own name, if it has one here
        real = os.path.realpath(here)
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(here) as entries:
            shown = [one for one in entries if not one.name.startswith(".") and one.name.lower() not in NOT_DATA]
        if here != str(folder) and RUN_FOLDER <= {one.name for one in shown}:
            continue
        for one in sorted(shown, key=lambda one: one.name):
            if one.is_dir():
                (links if one.is_symlink() else folders).append(one.path)
            elif _holds_data(one) and not _is_exclude_list(one.path):
                found.append(one.path)
    return sorted(found)


def _holds_data(one: os.DirEntry | Path) -> bool:
    """A file, or a pipe, which another program writes into: not a folder, a device or a link that leads nowhere."""
    return one.is_file() or Path(one).is_fifo()


def _is_exclude_list(path: str) -> bool:
    if not path.endswith(".tsv"):
        return False
    with open(path, "rb") as file:
        return file.readline(100).rstrip() == EXCLUDE_LIST_HEADING


def find_recording(folders: Iterable[str], name: str) -> str | None:
    """The file that a table's name of a recording means, in the first of the folders or AUDIO_FOLDERS in it.

    An ending can be missing. A name as it stands comes before one in other letters of case, in the other of Unicode's
    normal forms, which macOS writes, or with the separators of Windows. None where there is no such file.
    """
    folders = list(folders)
    names = dict.fromkeys((name, name.replace("\\", "/")))
    bases = [os.path.join(folder, sub, one) for one in names for folder in folders for sub in AUDIO_FOLDERS]
    candidates = bases + [base + suffix for base in bases for suffix in AUDIO_SUFFIXES]
    return next(filter(os.path.isfile, candidates), None) or next(filter(None, map(_alike, candidates)), None)


def _alike(path: str) -> str | None:
    """The file whose path is the same but for case and normal form; None for none, or for several as near."""
    parts = [part for part in path.split(os.sep) if part]
    here = os.sep if path.startswith(os.sep) else ""
    for part in parts:
        exact = os.path.join(here, part)
        if part == ".." or os.path.lexists(exact):
            here = exact
            continue
        same = _by_folded_name(here, _changed_ns(here)).get(_folded(part), ())
        nearer = [one for one in same if _composed(one) == _composed(part)] or list(same)
        if len(nearer) != 1:
            return None
        here = os.path.join(here, nearer[0])
    return here if os.path.isfile(here) else None


def _changed_ns(folder: str) -> int | None:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except (OSError, ValueError):  # there is no such folder, or no folder can be named so
        return None


@lru_cache(maxsize=16)
def _by_folded_name(folder: str, changed_ns: int | None) -> dict[str, tuple[str, ...]]:
    if changed_ns is None:
        return {}
    names: dict[str, list[str]] = defaultdict(list)
    try:
        for name in os.listdir(folder or "."):
            names[_folded(name)].append(name)
    except OSError:  # a file in the place of a folder, or one that may not be listed: nothing is found there
        return {}
    return {folded: tuple(same) for folded, same in names.items()}


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def matching(paths: Iterable[str]) -> list[str]:
    """The files among what a pattern matches, and those below the folders among it."""
    below: Iterator[list[str]] = (files_below(path) if os.path.isdir(path) else [path] for path in paths)
    return [path for path in chain.from_iterable(below) if _holds_data(Path(path))]
