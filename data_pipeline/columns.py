"""Which column of a row is what, and a row's way to an Utterance."""

import hashlib
import os
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data_pipeline.errors import UserError
from data_pipeline.source_rows import AUDIO_SUFFIXES, BROKEN
from data_pipeline.utterance import Samples, Utterance, plain


@dataclass(frozen=True)
class ColumnNames:
    """Columns named by the user; None means: the first of SYNONYMS that the row has."""

    text: str | None = None
    audio: str | None = None
    speaker: str | None = None
    language: str | None = None


# First found wins. Compared in lower case, with spaces and hyphens as underscores.
SYNONYMS = {
    "text": ("normalized_text", "normalised_text", "text_normalized", "text", "transcript", "transcription",
             "sentence", "txt", "utterance", "caption", "normalized_transcript", "raw_text", "raw_transcription"),
    "audio": ("audio", *(suffix[1:] for suffix in AUDIO_SUFFIXES), "audio_file", "audio_path", "audio_filepath",
              "file_name", "filename", "file", "file_path", "filepath", "wav_path", "path", "speech", "sound"),
    "speaker": ("speaker", "speaker_id", "speaker_name", "client_id", "spk", "spk_id", "voice", "reader"),
    "language": ("language", "lang", "locale", "lang_code", "language_code", "lang_id"),
    "rate": ("sampling_rate", "sample_rate", "samplerate", "sample_rate_hz", "rate", "sr"),
    "id": ("id", "utt_id", "utterance_id", "segment_id", "__key__", "key", "uuid", "file_name", "filename", "file",
           "audio_file", "audio_path", "audio_filepath", "file_path", "filepath", "path"),
}  # fmt: skip
ROLES = tuple(SYNONYMS)
REQUIRED = ("text", "audio")
# Where the audio of a table lies: beside it, or as LJSpeech, Common Voice and others have it.
AUDIO_FOLDERS = ("", "wavs", "wav", "clips", "audio")


@dataclass(frozen=True)
class RowReader:
    """Turns one source's raw rows into utterances.

    folder: what relative audio paths are relative to; a local folder, an hf:// URL, or None where there is none.
    confined: paths come from somebody else's corpus, so none may leave the folder.
    id_is_file: the id column names the recording (LJSpeech with a header).
    """

    where: str
    columns: ColumnNames
    folder: str | None
    confined: bool
    id_is_file: bool = False
    language: str | None = None

    def roles(self, row: dict) -> dict[str, str | None]:
        """Which column plays which of ROLES; raises UserError where there is none for the text or the audio."""
        return find_columns(tuple(fields(row)), self.columns, self.where, self.id_is_file)

    def to_utterance(self, row: dict) -> Utterance:
        """Raises UserError, naming the row, for one that is broken, has no text or no audio, or leads nowhere."""
        if BROKEN in row:
            raise UserError(f"{row[BROKEN]}.")
        row = fields(row)
        roles = self.roles(row)
        value = {role: row.get(column) if column is not None else None for role, column in roles.items()}
        label = self._id(value)
        if not isinstance(value["text"], str) or not value["text"].strip():
            raise UserError(
                f"Row {label} of {self.where} has no text in its column {roles['text']!r} "
                f"(found {value['text']!r}); expected a transcript. Write one or remove the row."
            )
        audio = self._audio(value["audio"], value["rate"], label)
        language = _word(value["language"]) or self.language
        return Utterance(label, plain(value["text"]), audio, _word(value["speaker"]), language)

    def _id(self, value: dict) -> str:
        """The id column, or the audio's path without its ending, or where there is neither a hash of the row."""
        audio = value["audio"]
        path = audio.get("path") if isinstance(audio, dict) else audio if isinstance(audio, str) else None
        name = _word(value["id"]) or _word(path)
        if name is None:
            content = audio.get("bytes") or audio.get("array") if isinstance(audio, dict) else audio
            raw = content if isinstance(content, bytes) else repr(np.asarray(content)).encode()
            return hashlib.sha256(f"{value['text']}\n".encode() + raw).hexdigest()[:16]
        if self.folder and os.path.isabs(name) and name.startswith(self.folder + os.sep):
            name = os.path.relpath(name, self.folder)
        stem, suffix = os.path.splitext(name)
        return stem if suffix.lower() in AUDIO_SUFFIXES else name

    def _audio(self, value, rate_hz, label: str) -> bytes | str | Samples:
        if isinstance(value, dict):
            if value.get("array") is not None:
                return self._audio(value["array"], value.get("sampling_rate", rate_hz), label)
            value = value["bytes"] if value.get("bytes") is not None else value.get("path")
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        if isinstance(value, str) and value.strip():
            return self._path(plain(value.strip()), label)
        if isinstance(value, list | tuple | np.ndarray):
            return self._samples(value, rate_hz, label)
        raise UserError(
            f"Row {label} of {self.where} has no audio (found {value!r:.60}); expected the bytes of an audio "
            "file, a path, or a list of samples beside a rate. Remove the row or name --audio-column."
        )

    def _samples(self, value, rate_hz, label: str) -> Samples:
        try:
            rate_hz = int(float(rate_hz))
            values = np.asarray(value)
            # 16-bit samples given as whole numbers; every other kind of number is taken to lie in -1..1.
            scale = 1 / 32768 if values.dtype.kind == "i" else 1
            return Samples(values.astype(np.float32) * np.float32(scale), rate_hz)
        except (TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"Row {label} of {self.where} has its audio as a list of {len(value)} values at the rate "
                f"{rate_hz!r}; expected numbers and, in a column {' or '.join(SYNONYMS['rate'][:3])}, their "
                "rate in Hz."
            ) from error

    def _path(self, value: str, label: str) -> str:
        """The file or URL that a row means; one that leaves the corpus is refused where others wrote the rows."""
        if "://" in value or "::" in value:
            if _is_of_the_hub(value) and (not self.confined or _is_url(self.folder)):
                return value
            raise UserError(
                f"Row {label} of {self.where} gives the audio as {value}; expected bytes or a file of the "
                "corpus. Download the audio first."
            )
        outside = UserError(
            f"Row {label} of {self.where} gives the audio as the path {value}, which is outside of the "
            "corpus; expected bytes, or a file inside it. Remove the row."
        )
        if self.folder is None or (self.confined and _leaves(value, self.folder)):
            raise outside
        if _is_url(self.folder):
            return f"{self.folder}/{value}"
        bases = [os.path.join(self.folder, sub, value) for sub in AUDIO_FOLDERS]
        for candidate in bases + [base + suffix for base in bases for suffix in AUDIO_SUFFIXES]:
            if os.path.isfile(candidate):
                if self.confined and _leaves(candidate, self.folder):  # a link that leads elsewhere
                    raise outside
                return candidate
        raise UserError(
            f"Row {label} of {self.where}: audio file {bases[0]} does not exist (nor under "
            f"{', '.join(AUDIO_FOLDERS[1:])}, nor with the ending {', '.join(AUDIO_SUFFIXES)}). Correct the "
            "path or remove the row."
        )


def fields(row: dict) -> dict:
    """A row with the fields of its WebDataset json beside its other columns, which win."""
    nested = row.get("json")
    return {**nested, **row} if isinstance(nested, dict) else row


@lru_cache(maxsize=1024)
def find_columns(found: tuple[str, ...], given: ColumnNames, where: str, id_is_file: bool) -> dict[str, str | None]:
    """Role -> column of a row that has the columns found. Raises UserError, saying which flag names a column."""
    by_plain_name = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in reversed(found)}
    roles: dict[str, str | None] = {}
    for role in ROLES:
        named = getattr(given, role, None)
        if named is not None and named not in found:
            raise UserError(f"{where} has no column {named!r} (--{role}-column); found: {', '.join(found)}.")
        synonyms = SYNONYMS[role] + (("id",) if role == "audio" and id_is_file else ())
        roles[role] = named or next((by_plain_name[name] for name in synonyms if name in by_plain_name), None)
        if roles[role] is None and role in REQUIRED:
            raise UserError(
                f"{where} has no column that is known to hold the {role}; found: {', '.join(found)}; expected "
                f"one of: {', '.join(synonyms)}. Name it with --{role}-column."
            )
    return roles


def _is_url(folder: str | None) -> bool:
    return folder is not None and "://" in folder


def _is_of_the_hub(url: str) -> bool:
    """Whether an fsspec URL is a file of the Hub, or one in a zip archive there: each link of a chain can lead away."""
    *inner, last = url.split("::")
    is_known = last.startswith("hf://") and all(link.startswith("zip://") for link in inner)
    return is_known and ".." not in re.split(r"[/\\]", url.replace("::", "/"))


def _leaves(path: str, folder: str) -> bool:
    if _is_url(folder):
        return os.path.isabs(path) or ".." in path.split("/")
    root = os.path.realpath(folder)
    # No file's name holds a NUL, which the system's calls choke on.
    return "\0" in path or os.path.commonpath([root, os.path.realpath(os.path.join(root, path))]) != root


def _word(value) -> str | None:
    return plain(str(value).strip()) or None if value is not None else None
