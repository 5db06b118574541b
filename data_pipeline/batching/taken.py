"""Which rows of an epoch have been trained on, by names that outlive another order, other batches, another corpus."""

import base64
from array import array
from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import PurePath

from data_pipeline.utterance import Audio, Samples, Segment, Utterance


def row_name(utterance: Utterance) -> int:
    """64 bits of what a row says and which recording it names, wherever the corpus lies."""
    told = repr((utterance.id, utterance.text, _named(utterance.audio)))
    return int.from_bytes(blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")


def _named(audio: Audio) -> object:
    if isinstance(audio, str):
        return PurePath(audio).name
    if isinstance(audio, Segment):
        return _named(audio.recording), audio.start, audio.end
    return len(audio.values if isinstance(audio, Samples) else audio)


class RowsTaken:
    """The rows of the epoch under way that steps have trained on, in their order; of rows that are alike, each.

    passed: so many of the first were taken before the epoch was planned anew, and are passed over when it is read.
    """

    def __init__(self):
        self.names = array("Q")
        self.passed = 0

    def __len__(self) -> int:
        return len(self.names)

    def add(self, names: Iterable[int]) -> None:
        self.names.extend(names)

    def clear(self) -> None:
        """An epoch is over."""
        self.names, self.passed = array("Q"), 0

    def plan_anew(self) -> None:
        """What is left of the epoch is to be read from its beginning, in batches of its own."""
        self.passed = len(self.names)

    def to_pass_over(self) -> Counter:
        return Counter(self.names[: self.passed])

    def ends_with(self, names: list[int]) -> bool:
        """Whether these are the latest that were taken since the epoch was planned."""
        return list(self.names[self.passed :][-len(names) :]) == names

    def to_json(self) -> dict:
        return {"names": base64.b64encode(self.names.tobytes()).decode(), "passed": self.passed}

    def restore(self, saved: dict) -> None:
        self.names, self.passed = array("Q", base64.b64decode(saved["names"])), saved["passed"]
