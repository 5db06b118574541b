"""Rows of files, one at a time, as dicts of column -> value; nothing here is held in memory but the row at hand.

A row that cannot be read comes out as {BROKEN: what is wrong with it}, so that one bad line costs one row. What
makes a whole file unreadable (not UTF-8, a damaged archive) raises UserError.
"""

import csv
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet

from data_pipeline.errors import UserError

BROKEN = "__broken__"
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga")
# A batch is in memory while its rows are handed out; a row can hold a minute of floats.
PARQUET_BATCH_ROWS = 8
SEPARATORS = "|\t,;"
# Bounds on an archive, whose few bytes can unpack to anything. Of a recording: 11 minutes of stereo at 48 kHz.
MOST_AUDIO_BYTES = 128 * 2**20
MOST_TEXT_BYTES = 4 * 2**20
MOST_HEADER_BYTES = 2**20
MOST_UNPACKED, UNPACKED_ANYWAY = 100, 256 * 2**20  # times its size; speech and text unpack to a few times theirs
LONG_NAMES = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
HEADERS = (*LONG_NAMES, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


def separator_of(path: str) -> str:
    """The separator of a table: whichever of | tab , ; comes first in it, as names of columns and files hold none."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        first_line = file.readline()
    return next((character for character in first_line if character in SEPARATORS), "|")


def check_utf8(path: str) -> None:
    """Raises UserError where a text file is not UTF-8 (with or without a byte order mark)."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text ({error.reason}, near its byte {error.start}); expected UTF-8. "
            f"Convert it: iconv -f WHAT-IT-IS -t UTF-8 {Path(path).name}"
        ) from error


def csv_lines(path: str, separator: str) -> Iterator[tuple[int, list[str] | str]]:
    """(line number, fields) of each line that is not blank; a text instead of fields says what is wrong with it.

    With | or tab a quotation mark is a letter, as LJSpeech has it: a sentence may open with one that never closes.
    Fields that pandas quoted are unquoted all the same.
    """
    quoting = csv.QUOTE_NONE if separator in "|\t" else csv.QUOTE_MINIMAL
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=separator, quoting=quoting)
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield reader.line_num, str(error)
                continue
            if any(field.strip() for field in fields):
                unquoted = [_unquoted(field) for field in fields] if quoting == csv.QUOTE_NONE else fields
                yield reader.line_num, unquoted


def csv_rows(paths: list[str], names: tuple[str, ...] | None, separator: str) -> Iterator[dict]:
    """Rows of tables; names are the columns where the file has no header, None where its first line is one."""
    for path in paths:
        lines = csv_lines(path, separator)
        columns = names or next((line for _, line in lines if isinstance(line, list)), [])
        for number, fields in lines:
            if isinstance(fields, str):
                yield {BROKEN: f"{path}, line {number}: {fields}; expected a row of a table"}
            elif any("\n" in field.strip() for field in fields):
                yield {
                    BROKEN: f"{path}, line {number} ends a quotation that goes over several lines; expected a line for "
                    "each row. Look for a quotation mark without its partner"
                }
            elif len(fields) != len(columns):
                yield {
                    BROKEN: f"{path}, line {number} has {len(fields)} columns; expected {len(columns)} "
                    f"({', '.join(columns)}). Look for a separator inside the text"
                }
            else:
                yield dict(zip(columns, fields, strict=True))


def jsonl_rows(paths: list[str]) -> Iterator[dict]:
    """Rows of files with one JSON object a line."""
    for path in paths:
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    row = error
                if isinstance(row, dict):
                    yield row
                else:
                    found = f"no JSON ({row})" if isinstance(row, Exception) else f"a {type(row).__name__}"
                    yield {BROKEN: f"{path}, line {number} is {found}; expected one JSON object, {{...}}, a line"}


def parquet_rows(paths: list[str]) -> Iterator[dict]:
    """Rows of parquet files; a list of numbers stays a numpy array, which is a hundredth of its size as objects."""
    for path in paths:
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=PARQUET_BATCH_ROWS):
                    for index in range(batch.num_rows):
                        yield {name: _plain(batch.column(name)[index]) for name in batch.schema.names}
        except pyarrow.ArrowException as error:
            raise UserError(
                f"{path} cannot be read as parquet ({error}); expected a whole parquet file. Copy or download it again."
            ) from error


class _Member(tarfile.TarInfo):
    """A member of a stranger's archive; refuses what would fill the memory before it has a name, or lead in circles.

    tarfile reads a long name, and the map of a sparse file, whole.
    """

    def _proc_member(self, archive):
        if self.size < 0 or (self.type in HEADERS and self.size > MOST_HEADER_BYTES):
            raise tarfile.ReadError(f"a header says {self.size} bytes")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise tarfile.ReadError("it holds a sparse file")
        return super()._proc_member(archive)

    def _proc_gnusparse_10(self, *_):
        raise tarfile.ReadError("it holds a sparse file")


def tar_rows(paths: list[str], columns: tuple[str, ...] = ()) -> Iterator[dict]:
    """Samples of WebDataset archives: consecutive members that share the name before its first dot.

    A row has __key__ and a column for each extension: txt (text), json (object), audio as {"bytes", "path"}.
    columns: further extensions to read. A member that is too large makes its row a broken one; an archive that
    unpacks to more than MOST_UNPACKED times its size raises UserError.
    """
    wanted = {"txt", "json", *columns, *(suffix[1:] for suffix in AUDIO_SUFFIXES)}
    for path in paths:
        row: dict = {}
        try:
            with tarfile.open(path, "r|*", tarinfo=_Member) as archive:
                for member in _bounded(archive, MOST_UNPACKED * os.path.getsize(path) + UNPACKED_ANYWAY):
                    folder, _, base = member.name.rpartition("/")
                    stem, _, extension = base.partition(".")
                    key = f"{folder}/{stem}" if folder else stem
                    if not member.isfile() or extension.lower() not in wanted:
                        continue
                    if row and row["__key__"] != key:
                        yield row
                        row = {}
                    row["__key__"] = key
                    row |= _member_column(extension.lower(), archive, member, f"{path}:{member.name}")
        except (tarfile.TarError, EOFError) as error:
            raise UserError(
                f"{path} cannot be read as a tar archive ({error}); expected a whole WebDataset tar. "
                "Copy or download it again."
            ) from error
        if row:
            yield row


def _bounded(archive: tarfile.TarFile, most_bytes: int) -> Iterator[tarfile.TarInfo]:
    """The members, before what they hold is unpacked, to be read or only to be passed over."""
    for member in archive:
        if member.offset_data + member.size > most_bytes:
            raise tarfile.ReadError(f"it unpacks to more than {MOST_UNPACKED} times its size")
        yield member


def _member_column(extension: str, archive: tarfile.TarFile, member: tarfile.TarInfo, label: str) -> dict:
    is_text = extension in ("txt", "json")
    most_bytes = MOST_TEXT_BYTES if is_text else MOST_AUDIO_BYTES
    if member.size > most_bytes:
        return {BROKEN: f"{label} has {member.size} bytes; expected one utterance, {most_bytes} at most"}
    content = archive.extractfile(member).read()
    if not is_text:
        return {extension: {"bytes": content, "path": label.rpartition("/")[2]}}
    try:
        text = content.decode("utf-8-sig")
        value = json.loads(text) if extension == "json" else text.strip()
    except (ValueError, RecursionError) as error:  # of either decoding
        return {BROKEN: f"{label}: {error}; expected {extension} in UTF-8"}
    if extension == "json" and not isinstance(value, dict):
        return {BROKEN: f"{label} is a {type(value).__name__}; expected one JSON object, {{...}}"}
    return {extension: value}


def _plain(scalar: pyarrow.Scalar):
    is_numbers = isinstance(scalar, pyarrow.ListScalar) and pyarrow.types.is_primitive(scalar.type.value_type)
    if is_numbers and scalar.is_valid:
        return scalar.values.to_numpy(zero_copy_only=False)
    return scalar.as_py()


def _unquoted(field: str) -> str:
    inner = field[1:-1]
    if len(field) >= 2 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return field
