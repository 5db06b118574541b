"""The one row type that every source becomes."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Samples:
    """Audio that a corpus gives as a list of numbers beside a rate; values float32 [N] in -1..1, mono."""

    values: np.ndarray
    rate_hz: int


@dataclass(frozen=True, slots=True)
class VoiceShift:
    """How a voice is made out of a recorded one: ratios of formants and of median pitch (data_pipeline.made_voices)."""

    formants: float
    pitch: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """One transcript with its recording, neither normalised nor decoded.

    audio: the bytes of an audio file, a path or URL of one, or Samples.
    shift: to be laid on the recording; None leaves it as it is.
    """

    id: str
    text: str
    audio: bytes | str | Samples
    speaker: str | None = None
    language: str | None = None
    shift: VoiceShift | None = None


def plain(text: str) -> str:
    """The text with a ? for each half of a surrogate pair, which JSON and names of files can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
