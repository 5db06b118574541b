"""The one row type that every source becomes."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

HASHED_BYTES = 2**20  # of a recording that is larger, so many are looked at, evenly taken


@dataclass(frozen=True, slots=True)
class Samples:
    """Audio that a corpus gives as a list of numbers beside a rate; values float32 [N] in -1..1, mono."""

    values: np.ndarray
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a longer recording; end None: to its end. In seconds, or in_samples at the recording's own rate."""

    recording: bytes | str | Samples
    start: float
    end: float | None
    in_samples: bool = False


Audio = bytes | str | Samples | Segment


@dataclass(frozen=True, slots=True)
class VoiceShift:
    """How a voice is made out of a recorded one (speaker_augmentation): ratios of formants and of median pitch."""

    formants: float
    pitch: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """One transcript with its recording, neither normalized nor decoded.

    audio: the bytes of an audio file, a path or URL of one, Samples, or a Segment of these.
    shift: to be laid on the recording; None leaves it as it is.
    """

    id: str
    text: str
    audio: Audio
    speaker: str | None = None
    language: str | None = None
    shift: VoiceShift | None = None

    @property
    def recording(self) -> str:
        """Equal for equal recordings: rows of one id, text and speaker can have several."""
        return fingerprint(self.audio)


def fingerprint(audio: Audio) -> str:
    """The path or URL; a hash of bytes or samples, and of no more than HASHED_BYTES of them; with a segment's ends."""
    if isinstance(audio, str):
        return audio
    if isinstance(audio, Segment):
        return f"{fingerprint(audio.recording)} {audio.start}-{audio.end}"
    content = audio.values.ravel().view(np.uint8).data if isinstance(audio, Samples) else audio
    step = max(1, len(content) // HASHED_BYTES)
    return f"{len(content)} {blake2b(bytes(content[::step]), digest_size=16).hexdigest()}"


def size_of(audio: Audio) -> int:
    """Bytes that it takes in memory."""
    if isinstance(audio, Segment):
        return size_of(audio.recording)
    return audio.values.nbytes if isinstance(audio, Samples) else len(audio)


def plain(text: str) -> str:
    """The text with a ? for each half of a surrogate pair, which JSON and names of files can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
