"""Whether a corpus is the one that a run has trained on, told from its files' sizes and its first rows."""

import itertools
import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path, PurePath

from data_pipeline.errors import UserError
from data_pipeline.reading.sources import Source
from data_pipeline.utterance import Segment, Utterance, size_of

FIRST_ROWS, FIRST_BYTES = 256, 32 * 2**20  # that are kept, and the undecoded audio that they may hold
SEARCHED_ROWS, SEARCHED_BYTES = 20_000, 2**30  # in which those of a corpus that has changed are looked for
ENOUGH = 0.5  # of the first rows, found again, make a corpus that rows were added to or removed from


def fingerprint(source: Source) -> dict:
    """As JSON holds it; equal where nothing has changed, wherever the corpus lies."""
    sizes = [[PurePath(name).name, os.path.getsize(name)] for name in source.opened.paths if Path(name).is_file()]
    return {"files": sizes, "rows": list(_first_rows(source, FIRST_ROWS, FIRST_BYTES))}


def is_another_corpus(before: dict, here: dict, source: Source) -> bool:
    """Whether most first rows of a fingerprint are gone, and most of those here are not among them either.

    here: the fingerprint of `source`.
    """
    was, now = set(before["rows"]), set(here["rows"])
    if len(was & now) >= ENOUGH * min(len(was), len(now)):
        return False
    found = was.intersection(_first_rows(source, SEARCHED_ROWS, SEARCHED_BYTES))
    return len(found) < ENOUGH * len(was)


def _first_rows(source: Source, most: int, most_bytes: int) -> Iterator[str]:
    """Of each row, 64 bits of what it is called, what it says, and the size of its recording."""
    held = 0
    for row in itertools.islice(source.rows(), most):
        try:
            utterance = source.to_utterance(row)
        except UserError:
            continue  # `Plan.epoch` counts and lists it
        size = _size(utterance)
        held += 0 if isinstance(utterance.audio, str) else size
        if held > most_bytes:
            return
        told = repr((utterance.id, utterance.text, size)).encode("utf-8", "surrogatepass")
        yield blake2b(told, digest_size=8).hexdigest()


def _size(utterance: Utterance) -> int:
    audio = utterance.audio.recording if isinstance(utterance.audio, Segment) else utterance.audio
    if isinstance(audio, str):
        return os.path.getsize(audio) if Path(audio).is_file() else -1
    return size_of(audio)
