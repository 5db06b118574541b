"""Which column of a row is what, and a row's way to an Utterance."""

import hashlib
import os
import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from data_pipeline.errors import UserError, shown
from data_pipeline.reading.files import AUDIO_FOLDERS, find_recording
from data_pipeline.reading.segments import segment_of
from data_pipeline.reading.source_rows import AUDIO_SUFFIXES, BROKEN, FOLDER
from data_pipeline.utterance import Samples, Segment, Utterance, plain


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
LONGEST_ID = 300  # characters; of a longer one, which is no id, the beginning and a hash are taken
REQUIRED = ("text", "audio")
# Columns of an id that are the name of a file, and with other tables can be that of another file too.
NAMES_OF_FILES = SYNONYMS["id"][SYNONYMS["id"].index("file_name") :]
# Columns of an id that tell segments of one recording apart.
IDS_OF_SEGMENTS = ("segment_id", "utt_id", "utterance_id", "uuid")


@dataclass(frozen=True)
class RowReader:
    """Turns one source's raw rows into utterances.

    folder: what relative audio paths are relative to; a local folder, an hf:// URL, or None where there is none. A row
    of one of several tables is looked for beside its own table first (source_rows.FOLDER).
    confined: paths come from somebody else's corpus, so none may leave the folder.
    id_is_file: the id column names the recording (LJSpeech with a header).
    tables_folder: which all tables lie in or below: what else of their folders tells names apart that several use.
    time_unit: of columns that say where a row begins and ends, and not in what (data_pipeline.reading.segments).
    """

    where: str
    columns: ColumnNames
    folder: str | None
    confined: bool
    id_is_file: bool = False
    language: str | None = None
    tables_folder: str | None = None
    time_unit: str | None = None

    def roles(self, row: dict) -> dict[str, str | None]:
        """Which column plays which of ROLES; raises UserError where there is none for the text or the audio."""
        return find_columns(tuple(fields(row)), self.columns, self.where, self.id_is_file)

    def to_utterance(self, row: dict) -> Utterance:
        """Raises UserError, naming the row, for one that is broken, has no text or no audio, or leads nowhere."""
        if BROKEN in row:
            raise UserError(f"{row[BROKEN]}.")
        folder, row = row.get(FOLDER, self.folder), fields(row)
        roles = self.roles(row)
        value = {role: row.get(column) if column is not None else None for role, column in roles.items()}
        name = self._name(value)
        label = shown(name)
        if not isinstance(value["text"], str) or not value["text"].strip():
            raise UserError(
                f"Row {label} of {self.where} has no text in its column {roles['text']!r} "
                f"(found {shown(value['text'])!r}); expected a transcript. Write one or remove the row."
            )
        audio = self._audio(value["audio"], value["rate"], label, folder)
        if isinstance(audio, str) and self._is_named_after_file(roles):
            name = self._told_apart(name, audio, folder)
        segment = segment_of(audio, row, self.time_unit, f"Row {label} of {self.where}")
        if segment is not None:
            audio = segment
            if plain_name(roles["id"]) not in IDS_OF_SEGMENTS:
                name = f"{name}_{_ends_of(segment)}"
        language = _word(value["language"]) or self.language
        return Utterance(name, plain(value["text"]), audio, _word(value["speaker"]), language)

    def _is_named_after_file(self, roles: dict[str, str | None]) -> bool:
        column = roles["id"]
        return column is None or column == roles["audio"] or plain_name(column) in NAMES_OF_FILES

    def _told_apart(self, name: str, audio: str, folder: str | None) -> str:
        """A file's name behind that of its table's folder, where the corpus has several: names are used again."""
        if self.tables_folder is None or folder in (None, self.tables_folder) or not audio.startswith(folder + os.sep):
            return name
        return os.path.join(os.path.relpath(folder, self.tables_folder), name)

    def _name(self, value: dict) -> str:
        """The id column, or the audio's path without its ending, or where there is neither a hash of the row."""
        audio = value["audio"]
        path = audio.get("path") if isinstance(audio, dict) else audio if isinstance(audio, str) else None
        name = _word(value["id"]) or _word(path)
        if name is None:
            content = audio
            if isinstance(audio, dict):
                content = audio["bytes"] if audio.get("bytes") is not None else audio.get("array")
            raw = content if isinstance(content, bytes) else _as_array(content).encode()
            return hashlib.sha256(plain(f"{value['text']}\n").encode() + raw).hexdigest()[:16]
        if self.folder and os.path.isabs(name) and name.startswith(self.folder + os.sep):
            name = os.path.relpath(name, self.folder)
        stem, suffix = os.path.splitext(name)
        name = stem if suffix.lower() in AUDIO_SUFFIXES else name
        if len(name) <= LONGEST_ID:
            return name
        return f"{name[:60]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"

    def _audio(self, value, rate_hz, label: str, folder: str | None) -> bytes | str | Samples:
        if isinstance(value, dict):
            if value.get("array") is not None:
                return self._audio(value["array"], value.get("sampling_rate", rate_hz), label, folder)
            value = value["bytes"] if value.get("bytes") is not None else value.get("path")
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        if isinstance(value, str) and value.strip():
            return self._path(plain(value.strip()), label, folder)
        if isinstance(value, list | tuple | np.ndarray) and len(value):
            return self._samples(value, rate_hz, label)
        raise UserError(
            f"Row {label} of {self.where} has no audio (found {shown(value, 60)!r}); expected the bytes of an audio "
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
                f"{shown(rate_hz, 40)!r}; expected numbers and, in a column {' or '.join(SYNONYMS['rate'][:3])}, their "
                "rate in Hz."
            ) from error

    def _path(self, value: str, label: str, folder: str | None) -> str:
        """The file or URL that a row means; one that leaves the corpus is refused where others wrote the rows."""
        if "://" in value or "::" in value:
            if _is_of_the_hub(value) and (not self.confined or _is_url(self.folder)):
                return value
            raise UserError(
                f"Row {label} of {self.where} gives the audio as {shown(value)}; expected bytes or a file of the "
                "corpus. Download the audio first."
            )
        outside = UserError(
            f"Row {label} of {self.where} gives the audio as the path {shown(value)}, which is outside of the "
            "corpus; expected bytes, or a file inside it. Remove the row."
        )
        if self.folder is None or (self.confined and _leaves(value, self.folder)):
            raise outside
        if _is_url(self.folder):
            return f"{self.folder}/{value}"
        folders = dict.fromkeys((folder or self.folder, self.folder))
        found = find_recording(folders, value)
        if found is not None:
            if self.confined and _leaves(found, self.folder):  # a link that leads elsewhere
                raise outside
            return found
        raise UserError(
            f"Row {label} of {self.where}: audio file {shown(os.path.join(folder or self.folder, value), 1000)} does "
            f"not exist (nor under {', '.join(AUDIO_FOLDERS[1:])}, nor with the ending {', '.join(AUDIO_SUFFIXES)}). "
            "Correct the path or remove the row."
        )


def _ends_of(segment: Segment) -> str:
    end = "" if segment.end is None else f"{segment.end:.0f}" if segment.in_samples else f"{segment.end:.3f}"
    return f"{segment.start:.0f}-{end}" if segment.in_samples else f"{segment.start:.3f}-{end}"


def _as_array(content) -> str:
    """What a list of samples looks like; one that is no array, which `RowReader._audio` refuses, as it is."""
    try:
        return repr(np.asarray(content))
    except (ValueError, OverflowError):  # lists of different lengths
        return plain(repr(content))


def fields(row: dict) -> dict:
    """A row with the fields of its WebDataset json beside its other columns, which win."""
    nested = row.get("json")
    row = {**nested, **row} if isinstance(nested, dict) else row
    return {name: value for name, value in row.items() if name != FOLDER} if FOLDER in row else row


@lru_cache(maxsize=1024)
def find_columns(found: tuple[str, ...], given: ColumnNames, where: str, id_is_file: bool) -> dict[str, str | None]:
    """Role -> column of a row that has the columns found. Raises UserError, saying which flag names a column."""
    by_plain_name = {plain_name(name): name for name in reversed(found)}
    listed = shown(", ".join(found), 1000)
    roles: dict[str, str | None] = {}
    for role in ROLES:
        named = getattr(given, role, None)
        if named is not None and named not in found:
            raise UserError(f"{where} has no column {shown(named)!r} (--{role}-column); found: {listed}.")
        synonyms = SYNONYMS[role] + (("id",) if role == "audio" and id_is_file else ())
        roles[role] = named or next((by_plain_name[name] for name in synonyms if name in by_plain_name), None)
        if roles[role] is None and role in REQUIRED:
            raise UserError(
                f"{where} has no column that is known to hold the {role}; found: {listed}; expected "
                f"one of: {', '.join(synonyms)}. Name it with --{role}-column."
            )
    return roles


def plain_name(column: str | None) -> str:
    """A column's name as `SYNONYMS` has it: lower case, one underscore for a space or a hyphen."""
    return (column or "").strip().lower().replace(" ", "_").replace("-", "_")


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
