"""The rows of a corpus as the check knows them, and the first look at each, which decodes nothing."""

import os
from dataclasses import dataclass
from hashlib import blake2b

from data_pipeline.batching.features import FeatureMaker
from data_pipeline.batching.plan import Limits, most_frames
from data_pipeline.errors import UserError
from data_pipeline.reading.sources import Source
from data_pipeline.recordings.audio import header_of
from data_pipeline.text.tokens import Vocabulary
from data_pipeline.utterance import Audio, Samples, Segment, Utterance, plain
from evaluation.data_check.waves import Wave

# Of a file as large as another, so many bytes in so many places are compared, not all of it.
PIECE_BYTES, PIECES = 16 * 1024, 4


@dataclass(slots=True)
class Row:
    """What was found out about one row; what was not, is None.

    split, index: where it is. broken: kind and message of what training skips it for. left_out: the limit that training
    leaves it out by. characters: of its normalized text. words_key, audio_key: equal for equal words and recordings.
    in_bytes: characters that the vocabulary has no token for. tokens: the fewest that its text can be.
    score: of the aligner.
    """

    split: str
    index: int
    id: str | None = None
    text: str = ""
    speaker: str | None = None
    language: str | None = None
    seconds: float | None = None
    rate_hz: int | None = None
    characters: int = 0
    words_key: bytes = b""
    audio_key: bytes = b""
    in_bytes: str = ""
    tokens: int = 0
    broken: tuple[str, str] | None = None
    left_out: str | None = None
    wave: Wave | None = None
    score: float | None = None

    @property
    def is_used(self) -> bool:
        """Whether training would use it, as far as was seen."""
        return self.broken is None and self.left_out is None


def first_look(
    raw: dict, row: Row, source: Source, make: FeatureMaker, limits: Limits, letters: Vocabulary | None = None
) -> Utterance | None:
    """Fills in what a row tells undecoded; the utterance, or None where there is none to be had.

    letters: a table that its letters are looked up in, in place of its tokens, which take longer where they are
        phonemes.
    """
    try:
        utterance = source.to_utterance(raw)
    except UserError as error:
        row.id = None if raw.get("id") is None else plain(str(raw["id"]))
        row.broken = ("unreadable", str(error))
        return None
    row.id, row.text, row.speaker = utterance.id, utterance.text, utterance.speaker
    row.language = utterance.language or make.language
    try:
        row.seconds, row.rate_hz = header_of(utterance.audio, name=utterance.id)
    except UserError as error:
        row.broken = ("unreadable", str(error))
        return None
    row.left_out = limits.refusal(utterance, row.seconds, most_frames(row.seconds, make.audio))
    row.audio_key = audio_key(utterance.audio)
    try:
        text = make.text_of(utterance)
        tokens = (letters or make.vocabulary).encode(text, row.language)
    except UserError as error:
        row.broken = ("no_words", str(error))
        return None
    row.characters, row.in_bytes = len(text), make.vocabulary.in_bytes(tokens)
    row.tokens = 0 if letters else make.fewest_tokens(tokens)
    row.words_key = _digest("".join(filter(str.isalnum, text)).encode())
    return utterance


def audio_key(audio: Audio) -> bytes:
    """Equal for equal recordings. Files are told by their size and PIECES of them; re-encoded copies are not found."""
    if isinstance(audio, Segment):
        return _digest(audio_key(audio.recording) + f"{audio.start}-{audio.end}".encode())
    if isinstance(audio, Samples):
        return _digest(audio.values.tobytes())
    if isinstance(audio, bytes):
        return _digest(audio)
    if "://" in audio:
        return _digest(audio.encode())
    size = os.path.getsize(audio)
    with open(audio, "rb") as file:
        pieces = [size.to_bytes(8, "big")]
        for piece in range(PIECES):
            file.seek(piece * max(0, size - PIECE_BYTES) // (PIECES - 1))
            pieces.append(file.read(PIECE_BYTES))
    return _digest(b"".join(pieces))


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=16).digest()
