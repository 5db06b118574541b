"""Every kind of corpus as a stream of rows that become Utterances. A new format is one function here.

A reader is given a Request and returns what it read, or None where the place is not of its kind; the first reader in
READERS that does not decline is used. So the order of the functions in this file is the order of detection. Those that
installed packages add (docs/extending.md) are asked after them, in the order of their names.
Which files are for validation is told by their names: see splits.py. Everything is streamed (IterableDataset).
"""

import glob
import itertools
import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import datasets
import pyarrow.dataset
from datasets.packaged_modules.parquet.parquet import ParquetConfig

from data_pipeline import plugins
from data_pipeline.errors import UserError, shown
from data_pipeline.reading import nameless, source_rows
from data_pipeline.reading.columns import SYNONYMS, ColumnNames, RowReader, fields
from data_pipeline.reading.files import matching
from data_pipeline.reading.request import Request
from data_pipeline.reading.segments import unit_of
from data_pipeline.reading.source_rows import AUDIO_SUFFIXES, BROKEN, TableLayout
from data_pipeline.reading.splits import TRAIN, VALIDATION_WORDS, of_split
from data_pipeline.reading.undecoded import undecoded
from data_pipeline.recordings.audio import header_of
from data_pipeline.utterance import Segment, Utterance, plain

REPOSITORY = Path(__file__).resolve().parents[2]
DEMO_CORPUS = REPOSITORY / "assets" / "demo_corpus"
DATA_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".tar", ".tar.gz", ".tgz", ".zip")
JSON_LINES = (".jsonl", ".ndjson", "manifest.json")
ROWS_WITH_TIMES = 50  # that tell the unit
HUB_ID = re.compile(r"(?:[\w.-]+/)?[\w.-]+(?::[\w.+-]+)?")


@dataclass(frozen=True)
class Opened:
    """What a reader found: how to stream it, and where its audio lies (see RowReader). stream None: no such split.

    paths: the files that hold the rows, where they are files of this computer. tables_folder: see RowReader.
    """

    stream: Callable[[], datasets.IterableDataset] | None
    detail: str = ""
    folder: str | None = None
    confined: bool = True
    id_is_file: bool = False
    paths: tuple[str, ...] = ()
    tables_folder: str | None = None


@dataclass(frozen=True)
class Source:
    """One split of a corpus."""

    kind: str
    opened: Opened
    reader: RowReader

    def describe(self) -> str:
        return plain(f"{self.reader.where} ({self.kind}: {self.opened.detail})")

    def rows(self) -> datasets.IterableDataset:
        """A fresh stream of raw rows with undecoded audio; .shuffle(seed, buffer_size).skip(n) is exact on it."""
        assert self.opened.stream is not None  # open_source gives no source without one
        return self.opened.stream()

    def to_utterance(self, row: dict) -> Utterance:
        """Raises UserError for a broken row, so that the pipeline can skip, count and list it."""
        return self.reader.to_utterance(row)


READERS: dict[str, Callable[[Request], Opened | None]] = {}


def reader(kind: str):
    def register(function):
        READERS[kind] = function
        return function

    return register


def open_source(
    where: str,
    *,
    columns: ColumnNames | None = None,
    dataset_config: str | None = None,
    split: str = TRAIN,
    language: str | None = None,
) -> Source | None:
    """Opens a folder, file, pattern or Hub id (see READERS); None where it has no validation split.

    language: of the rows that do not say. Raises UserError for a place that does not exist or is of no known kind,
    cannot be read, holds no rows, or has no column for the text or the audio (looked for in the first whole row).
    """
    try:
        return _open(where, columns or ColumnNames(), dataset_config, split, language)
    except OSError as error:
        name = plain(str(error.filename or where))
        raise UserError(
            f"{name} cannot be read ({error.strerror or error}); expected files and folders that this user may read. "
            f"Look at it with: ls -l {shlex.quote(name)}"
        ) from error


def _open(
    where: str, columns: ColumnNames, dataset_config: str | None, split: str, language: str | None
) -> Source | None:
    request = _request(where, columns, dataset_config, split)
    for kind, read in _all_readers():  # noqa: B007 (it is used after the break)
        opened = read(request)
        if opened is not None:
            break
    else:
        told = {kind: (read.__doc__ or "it does not say").splitlines()[0] for kind, read in _all_readers()}
        kinds = "\n".join(f"  {kind}: {what}" for kind, what in told.items())
        raise UserError(f"{where} holds no corpus of a known kind; expected one of\n{kinds}")
    if opened.stream is None:
        if split == TRAIN:
            raise UserError(
                f"{where} ({kind}) holds no training data, only validation or test data by its names "
                f"({', '.join(VALIDATION_WORDS)}). Name the file or split that is meant."
            )
        return None
    row_reader = RowReader(
        where,
        columns,
        opened.folder,
        opened.confined,
        id_is_file=opened.id_is_file,
        language=language,
        tables_folder=opened.tables_folder,
    )
    source = Source(kind, opened, row_reader)
    _check_first_row(source)
    return replace(source, reader=replace(row_reader, time_unit=_time_unit(source)))


def _all_readers() -> Iterator[tuple[str, Callable[[Request], Opened | None]]]:
    """Packages are imported only once all that is built in has declined."""
    yield from READERS.items()
    yield from plugins.added(plugins.READERS, READERS).items()


def default_train_data() -> tuple[str, str]:
    """(where, why): what is trained on when the user names nothing."""
    beside = REPOSITORY.parent / "dataset" / "dataset_train"
    if beside.is_dir():
        return str(beside), f"no --train-data given; found {beside}"
    return str(DEMO_CORPUS), f"no --train-data given and no folder {beside}; using the embedded demo corpus"


@reader("seed")
def read_seed(request: Request) -> Opened | None:
    """a folder with metadata_train.csv, metadata_eval.csv and wavs/"""
    if not request.beside("metadata_train.csv"):
        return None
    return _table(request.beside("metadata_train.csv" if request.split == TRAIN else "metadata_eval.csv"), request)


@reader("audiofolder")
def read_audiofolder(request: Request) -> Opened | None:
    """a folder, or one for each split, with audio files and metadata.csv or metadata.jsonl (file_name, text)"""
    tables = [*request.beside("metadata.csv", depth=1), *request.beside("metadata.jsonl", depth=1)]
    if not any(map(_is_audiofolder, tables)):
        return None
    return _table(of_split(sorted(tables), request.split, str(request.path)), request)


@reader("ljspeech")
def read_ljspeech(request: Request) -> Opened | None:
    """a folder with metadata.csv (id|raw text|normalized text) and wavs/"""
    tables = request.beside("metadata.csv")
    if not tables:
        return None
    return _table(tables if request.split == TRAIN else [], request)


@reader("parquet")
def read_parquet(request: Request) -> Opened | None:
    """a file, a folder or a pattern (.parquet), with a text column and audio as bytes, paths or lists of samples"""
    paths = request.of_kind(".parquet")
    return _files(source_rows.parquet_rows, paths, request)


@reader("webdataset")
def read_webdataset(request: Request) -> Opened | None:
    """tar files, a folder of them or a pattern (.tar), holding id.wav (flac, mp3, ogg, opus) and id.txt or id.json"""
    given = tuple(filter(None, (request.columns.text, request.columns.audio)))
    paths = request.of_kind(".tar", ".tar.gz", ".tgz")
    opened = _files(partial(source_rows.tar_rows, columns=given), paths, request)
    # The audio is inside, so no path may lead anywhere.
    return opened and Opened(opened.stream, opened.detail, folder=None, paths=opened.paths)


@reader("jsonl")
def read_jsonl(request: Request) -> Opened | None:
    """a file, a folder or a pattern (.jsonl), one JSON object a line, with a text and the path of an audio file"""
    paths = request.of_kind(*JSON_LINES)
    return None if paths is None else _table(paths, request)


@reader("csv")
def read_csv(request: Request) -> Opened | None:
    """a file, a folder or a pattern (.csv, .tsv, .txt; separated by | tab , or ;) of audio paths and texts"""
    is_named = request.files or (request.path is not None and request.path.is_file())
    paths = request.of_kind(".csv", ".tsv", *([".txt"] if is_named else []))
    return None if paths is None else _table(paths, request)


@reader("hub")
def read_hub(request: Request) -> Opened | None:
    """a dataset id of the Hugging Face Hub (owner/name or owner/name:split; --dataset-config where it has several)"""
    if request.files or request.path is not None or not HUB_ID.fullmatch(request.where):
        return None
    return stream_dataset(request.where, request)


def stream_dataset(where: str, request: Request) -> Opened:
    """A dataset through datasets: of the Hub, or in tests a local folder laid out as one."""
    name, _, named_split = where.partition(":")
    try:
        builder = datasets.load_dataset_builder(name, request.dataset_config)
        if isinstance(builder.config, ParquetConfig):
            # Its buffer would keep every byte of a file until the end of it.
            builder.config.fragment_scan_options = pyarrow.dataset.ParquetFragmentScanOptions(pre_buffer=False)
            builder.config.batch_size = source_rows.PARQUET_BATCH_ROWS
        splits = builder.as_streaming_dataset()
    # Not found, no network; no such configuration, or one has to be chosen; a script, which datasets does not run.
    except (OSError, ValueError, RuntimeError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{where} is neither a file or folder here (looked in {Path.cwd()}) nor a dataset that could be "
            f"opened on the Hugging Face Hub ({first_line}). Correct --train-data or --val-data; private "
            "datasets need `hf auth login`, those with several configurations --dataset-config."
        ) from error
    if named_split and named_split not in splits:
        raise UserError(f"{name} has no split {named_split!r}; found: {', '.join(splits)}.")
    chosen = [named_split] if named_split else of_split(list(splits), request.split)
    if not chosen or (named_split and request.split != TRAIN):
        return Opened(None)
    if len(chosen) > 1 and request.split == TRAIN and TRAIN not in chosen:
        raise UserError(f"{name} has several splits for training: {', '.join(chosen)}. Choose one: {name}:{chosen[0]}")
    split = request.split if request.split in chosen else chosen[0]
    folder = str(Path(name).resolve()) if os.path.isdir(name) else f"hf://datasets/{name}"
    return Opened(partial(undecoded, splits[split]), f"split {split}", folder)


def _request(where: str, columns: ColumnNames, dataset_config: str | None, split: str) -> Request:
    path = Path(os.path.expanduser(where))
    if os.path.exists(path):
        return Request(where, columns, dataset_config, split, path.absolute())
    if glob.has_magic(where):
        files = sorted(matching(glob.glob(str(path), recursive=True)))
        if not files:
            raise UserError(f"No file matches {where} (looked from {Path.cwd()}).")
        return Request(where, columns, dataset_config, split, None, [str(Path(name).absolute()) for name in files])
    is_file_name = where.lower().endswith((*DATA_SUFFIXES, *AUDIO_SUFFIXES))
    if is_file_name or where.startswith((".", "~")) or not HUB_ID.fullmatch(where):
        raise UserError(
            f"{where} does not exist (looked for {path.absolute()}); expected a folder, a file or a pattern "
            "of audio with transcripts, or the id of a Hub dataset (owner/name)."
        )
    return Request(where, columns, dataset_config, split, None)


def _check_first_row(source: Source) -> None:
    """Finds the columns in the first row that is whole, so that a wrong name fails before anything is built."""
    broken = None
    for row in itertools.islice(source.rows(), 100):
        if BROKEN not in row:
            source.reader.roles(row)
            return
        broken = broken or row[BROKEN]
    if broken:
        raise UserError(f"{source.reader.where}: none of its first rows can be read. The first: {shown(broken, 1000)}.")
    raise UserError(
        f"{source.reader.where} ({source.kind}) holds no rows; expected a transcript and a recording in each."
    )


def _time_unit(source: Source) -> str | None:
    """Of times without one, from the first rows whose recordings are there."""

    def rows() -> Iterator[tuple[dict, str, float, int]]:
        for raw in itertools.islice(source.rows(), ROWS_WITH_TIMES):
            try:
                utterance = source.to_utterance(raw)
                if not isinstance(utterance.audio, Segment):
                    continue
                seconds, rate_hz = header_of(utterance.audio.recording, name=utterance.id)
            except UserError:
                continue  # training lists it
            yield fields(raw), utterance.text, seconds, rate_hz

    return unit_of(rows(), source.reader.where)


def _folder_of(request: Request, paths: list[str]) -> str:
    """The folder that was named, or the one that all of the files lie in, or below."""
    if request.path is not None and request.path.is_dir():
        return str(request.path)
    return os.path.commonpath([os.path.dirname(path) for path in paths])


def _is_audiofolder(table: str) -> bool:
    if table.lower().endswith(".jsonl"):
        return True
    source_rows.check_utf8(table)
    return "file_name" in next(source_rows.csv_lines(table, source_rows.separator_of(table)), (0, ""))[1]


def _stream(rows: Callable[..., Iterator[dict]], paths: list[str], **kwargs) -> datasets.IterableDataset:
    return datasets.IterableDataset.from_generator(rows, gen_kwargs={"paths": paths, **kwargs})


def _files(rows: Callable[..., Iterator[dict]], paths: list[str] | None, request: Request) -> Opened | None:
    if paths is None:
        return None
    if not paths:
        return Opened(None)
    opened = partial(_stream, rows, paths)
    return Opened(opened, _named(paths), _folder_of(request, paths), confined=False, paths=tuple(paths))


def _table(paths: list[str], request: Request) -> Opened:
    """Tables, each as it is written itself: separated values, whose first line can be a row too, or JSON lines."""
    if not paths:
        return Opened(None)
    for path in paths:
        source_rows.check_utf8(path)
    layouts = [_layout(path, request.columns) for path in paths]
    stream = partial(_stream, source_rows.table_rows, paths, layouts=layouts)
    folders = {os.path.dirname(path) for path in paths}
    has_wavs = any(os.path.isdir(os.path.join(folder, "wavs")) for folder in folders)
    detail = _named(paths) + (f", {_told(layouts[0])}" if layouts[0].separator else "")
    below = os.path.commonpath(folders)
    return Opened(stream, detail, _folder_of(request, paths), False, has_wavs, tuple(paths), below)


def _layout(path: str, given: ColumnNames) -> TableLayout:
    if path.lower().endswith(JSON_LINES):
        return TableLayout(None, None)
    separator = source_rows.separator_of(path)
    lines = itertools.islice(source_rows.csv_lines(path, separator), nameless.ROWS_READ)
    rows = [line for _, line in lines if isinstance(line, list)]
    known = {name for role in SYNONYMS.values() for name in role}
    known.update(filter(None, (given.text, given.audio, given.speaker, given.language)))
    if not rows or not nameless.has_no_header(rows[0], path, known):
        return TableLayout(separator, None)
    return TableLayout(separator, nameless.names_by_content(path, rows, given))


def _told(layout: TableLayout) -> str:
    names = "first line names the columns"
    if layout.names is not None:
        names = f"no header, columns taken as {', '.join(layout.names)}"
    return f"separated by {layout.separator!r}, {names}"


def _named(paths: list[str]) -> str:
    return (
        Path(paths[0]).name
        if len(paths) == 1
        else f"{len(paths)} files, {Path(paths[0]).name} to {Path(paths[-1]).name}"
    )
