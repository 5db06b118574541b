"""Rows of files, one at a time, as dicts of column -> value; nothing here is held in memory but the row at hand.

A row that cannot be read comes out as {BROKEN: what is wrong with it}, so that one bad line costs one row. What
makes a whole file unreadable (not UTF-8, a damaged archive) raises UserError.
"""

import csv
import itertools
import json
import os
import shlex
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path
from typing import NamedTuple

import pyarrow
import pyarrow.parquet

from data_pipeline.errors import UserError, shown
from data_pipeline.recordings import containers

BROKEN = "__broken__"
FOLDER = "__folder__"  # of the table that a row stands in: what its paths are relative to
AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", *containers.SUFFIXES)
# A batch is in memory while its rows are handed out; a row can hold a minute of floats.
PARQUET_BATCH_ROWS, BATCH_BYTES = 8, 64 * 2**20
WIDTHS = {"INT32": 4, "INT64": 8, "FLOAT": 4, "DOUBLE": 8, "INT96": 12}  # of parquet's types
SEPARATORS = "|\t,;"
LINES_LOOKED_AT = 50
# Bounds on an archive, whose few bytes can unpack to anything. Of a recording: 11 minutes of stereo at 48 kHz.
MOST_AUDIO_BYTES = 128 * 2**20
MOST_TEXT_BYTES = 4 * 2**20
MOST_HEADER_BYTES = 2**20
MOST_UNPACKED, UNPACKED_ANYWAY = 100, 256 * 2**20  # times its size; speech and text unpack to a few times theirs
LONG_NAMES = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
HEADERS = (*LONG_NAMES, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)


def separator_of(path: str) -> str:
    """The separator of a table: whichever of | tab , ; comes first in it, as names of columns and files hold none.

    A text that comes first can: of several in the first line, one that is in every line as often.
    """
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = [line for line in itertools.islice(file, LINES_LOOKED_AT) if line.strip()]
    found = list(dict.fromkeys(character for character in "".join(lines[:1]) if character in SEPARATORS))
    steady = [one for one in found if len({line.count(one) for line in lines}) == 1]
    return next(iter(steady or found), "|")


def check_utf8(path: str) -> None:
    """Raises UserError where a text file is not UTF-8 (with or without a byte order mark)."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            while file.read(1 << 20):
                pass
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is not UTF-8 text ({error.reason}, near its byte {error.start}); expected UTF-8. "
            f"Convert it: iconv -f WHAT-IT-IS -t UTF-8 {shlex.quote(Path(path).name)}"
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


class TableLayout(NamedTuple):
    """separator: None for JSON lines. names: of the columns where there is no header; None: its first line is one."""

    separator: str | None
    names: tuple[str, ...] | None


def table_rows(paths: list[str], layouts: list[TableLayout]) -> Iterator[dict]:
    """Rows of tables, each with the FOLDER that its paths are relative to."""
    for path, (separator, names) in zip(paths, layouts, strict=True):
        folder = {FOLDER: os.path.dirname(path)}
        for row in _jsonl_rows(path) if separator is None else _csv_rows(path, separator, names):
            yield row | folder


def _csv_rows(path: str, separator: str, names: tuple[str, ...] | None) -> Iterator[dict]:
    lines = csv_lines(path, separator)
    columns = names or header(path, next((line for _, line in lines if isinstance(line, list)), []))
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
                f"({shown(', '.join(columns))}). Look for a separator inside the text"
            }
        else:
            yield dict(zip(columns, fields, strict=True))


def header(path: str, line: list[str]) -> list[str]:
    """The names of a table's columns. Raises UserError for a name that two of them have."""
    named = [name for name in line if name.strip()]
    twice = [name for name, count in Counter(named).items() if count > 1]
    if twice:
        raise UserError(
            f"{path} has several columns of the name {shown(twice[0], 60)!r}; expected each once. Rename or remove one."
        )
    return [name if name.strip() else f"column_{place}" for place, name in enumerate(line, start=1)]


def _jsonl_rows(path: str) -> Iterator[dict]:
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
    """Rows of parquet files; a list of numbers stays a numpy array, which is a hundredth of its size as objects.

    A row group that unpacks to more than MOST_UNPACKED times the file's size raises UserError.
    """
    for path in paths:
        check_has_an_end(path)
        try:
            # Its buffer would keep every byte that was ever read.
            with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:
                header(path, file.schema_arrow.names)
                for group in range(file.num_row_groups):
                    rows = _batch_rows(path, file.metadata.row_group(group))
                    for batch in file.iter_batches(batch_size=rows, row_groups=[group]):
                        yield from (_parquet_row(path, batch, index) for index in range(batch.num_rows))
        except pyarrow.ArrowException as error:
            raise UserError(
                f"{path} cannot be read as parquet ({error}); expected a whole parquet file. Copy or download it again."
            ) from error
        except UnicodeEncodeError as error:  # of what opens it
            raise UserError(
                f"The name of {path} is not UTF-8, as that of a parquet file has to be. Rename it."
            ) from error


def check_has_an_end(path: str) -> None:
    """Raises UserError where parquet, which is read from its end, comes out of a pipe: no signal ends that wait."""
    if not os.path.isfile(path):
        raise UserError(
            f"{path} is no regular file, and parquet is read from its end; expected a file. Write it to one, or give "
            "JSON lines, a table or a tar, which a pipe can carry."
        )


def _batch_rows(path: str, group) -> int:
    """As many rows at once as BATCH_BYTES hold, by what a group says of itself; one of a few values can be long."""
    columns = [group.column(place) for place in range(group.num_columns)]
    # A value that comes again and again is stored once: what counts is how many there are.
    sizes = [max(one.total_uncompressed_size, one.num_values * WIDTHS.get(one.physical_type, 1)) for one in columns]
    if sum(sizes) > MOST_UNPACKED * os.path.getsize(path) + UNPACKED_ANYWAY:
        raise UserError(
            f"{path} unpacks to more than {MOST_UNPACKED} times its size ({sum(sizes)} bytes in {group.num_rows} "
            "rows); expected speech with its texts. Look at what wrote it, or leave the file out."
        )
    row_bytes = sum(sizes) / max(1, group.num_rows)
    return max(1, min(PARQUET_BATCH_ROWS, int(BATCH_BYTES / max(1.0, row_bytes))))


def _parquet_row(path: str, batch: pyarrow.RecordBatch, index: int) -> dict:
    try:
        row = {name: _plain(column[index]) for name, column in zip(batch.schema.names, batch.columns, strict=True)}
    except (UnicodeDecodeError, ValueError, OverflowError, TypeError) as error:
        return {BROKEN: f"A row of {path} cannot be read ({error}); expected UTF-8 text and audio"}
    return row | {FOLDER: os.path.dirname(path)}


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

    def _proc_gnusparse_00(self, *_):
        raise tarfile.ReadError("it holds a sparse file")

    _proc_gnusparse_01 = _proc_gnusparse_10 = _proc_gnusparse_00

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
        # tarfile itself stumbles over numbers in headers that are none.
        except (tarfile.TarError, EOFError, ValueError, OverflowError, LookupError, zlib.error, LZMAError) as error:
            raise UserError(
                f"{path} cannot be read as a tar archive ({error}); expected a whole WebDataset tar. "
                "Copy or download it again."
            ) from error
        if row:
            yield row


def _bounded(archive: tarfile.TarFile, most_bytes: int) -> Iterator[tarfile.TarInfo]:
    """The members, before what they hold is unpacked, to be read or only to be passed over."""
    while (member := archive.next()) is not None:
        archive.members.clear()  # where tarfile keeps all of them, 500 bytes each
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
    is_list = isinstance(scalar, pyarrow.ListScalar) and not pyarrow.types.is_map(scalar.type)
    is_numbers = is_list and pyarrow.types.is_primitive(scalar.type.value_type)
    if is_numbers and scalar.is_valid:
        return scalar.values.to_numpy(zero_copy_only=False)
    return scalar.as_py()


def _unquoted(field: str) -> str:
    inner = field[1:-1]
    if len(field) >= 2 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return field
