"""Every kind of corpus as a stream of rows that become Utterances. A new format is one function here.

A reader is given a Request and returns what it read, or None where the place is not of its kind; the first reader in
READERS that does not decline is used. So the order of the functions in this file is the order of detection.
Which files are for validation is told by their names: see splits.py. Everything is streamed (IterableDataset).
"""

import glob
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import datasets

from data_pipeline import source_rows
from data_pipeline.columns import SYNONYMS, ColumnNames, RowReader
from data_pipeline.errors import UserError
from data_pipeline.request import Request
from data_pipeline.source_rows import AUDIO_SUFFIXES, BROKEN
from data_pipeline.splits import TRAIN, VALIDATION_WORDS, of_split
from data_pipeline.undecoded import undecoded
from data_pipeline.utterance import Utterance

REPOSITORY = Path(__file__).resolve().parents[1]
DEMO_CORPUS = REPOSITORY / "assets" / "demo_corpus"
DATA_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".tar", ".tar.gz", ".tgz", ".zip")
HUB_ID = re.compile(r"(?:[\w.-]+/)?[\w.-]+(?::[\w.+-]+)?")


@dataclass(frozen=True)
class Opened:
    """What a reader found: how to stream it, and where its audio lies (see RowReader). stream None: no such split.

    paths: the files that hold the rows, where they are files of this computer.
    """

    stream: Callable[[], datasets.IterableDataset] | None
    detail: str = ""
    folder: str | None = None
    confined: bool = True
    id_is_file: bool = False
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """One split of a corpus."""

    kind: str
    opened: Opened
    reader: RowReader

    def describe(self) -> str:
        return f"{self.reader.where} ({self.kind}: {self.opened.detail})"

    def rows(self) -> datasets.IterableDataset:
        """A fresh stream of raw rows with undecoded audio; .shuffle(seed, buffer_size).skip(n) is exact on it."""
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
    holds no rows, or has no column for the text or the audio (looked for in the first row that is whole).
    """
    columns = columns or ColumnNames()
    request = _request(where, columns, dataset_config, split)
    for kind, read in READERS.items():  # noqa: B007 (it is used after the break)
        opened = read(request)
        if opened is not None:
            break
    else:
        kinds = "\n".join(f"  {kind}: {read.__doc__.splitlines()[0]}" for kind, read in READERS.items())
        raise UserError(f"{where} holds no corpus of a known kind; expected one of\n{kinds}")
    if opened.stream is None:
        if split == TRAIN:
            raise UserError(
                f"{where} ({kind}) holds no training data, only validation or test data by its names "
                f"({', '.join(VALIDATION_WORDS)}). Name the file or split that is meant."
            )
        return None
    row_reader = RowReader(where, columns, opened.folder, opened.confined, opened.id_is_file, language)
    source = Source(kind, opened, row_reader)
    _check_first_row(source)
    return source


def default_train_data() -> tuple[str, str]:
    """(where, why): what is trained on when the user names nothing."""
    beside = REPOSITORY.parent / "dataset" / "dataset_train"
    if beside.is_dir():
        return str(beside), f"no --train-data given; found {beside}"
    return str(DEMO_CORPUS), f"no --train-data given and no folder {beside}; using the embedded demo corpus"


@reader("seed")
def read_seed(request: Request) -> Opened | None:
    """a folder with metadata_train.csv, metadata_eval.csv and wavs/"""
    if not _has(request.path, "metadata_train.csv"):
        return None
    table = request.path / ("metadata_train.csv" if request.split == TRAIN else "metadata_eval.csv")
    return _table([str(table)] if table.is_file() else [], request, request.path)


@reader("audiofolder")
def read_audiofolder(request: Request) -> Opened | None:
    """a folder, or one for each split, with audio files and metadata.csv or metadata.jsonl (file_name, text)"""
    if request.path is None or not request.path.is_dir():
        return None
    tables = [
        name
        for end in ("csv", "jsonl")
        for name in (*request.path.glob(f"metadata.{end}"), *request.path.glob(f"*/metadata.{end}"))
    ]
    if not any(_is_audiofolder(table) for table in tables):
        return None
    chosen = of_split(sorted(map(str, tables)), request.split, str(request.path))
    if len(chosen) > 1:
        raise UserError(
            f"{request.where} holds several folders with metadata ({', '.join(chosen)}); expected one for "
            f"{request.split}. Name the folder that is meant."
        )
    return _table(chosen, request, Path(chosen[0]).parent) if chosen else Opened(None)


@reader("ljspeech")
def read_ljspeech(request: Request) -> Opened | None:
    """a folder with metadata.csv (id|raw text|normalised text) and wavs/"""
    if not _has(request.path, "metadata.csv"):
        return None
    return _table([str(request.path / "metadata.csv")] if request.split == TRAIN else [], request, request.path)


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
    paths = request.of_kind(".jsonl", ".ndjson", "manifest.json")
    for path in paths or []:
        source_rows.check_utf8(path)
    return _files(source_rows.jsonl_rows, paths, request)


@reader("csv")
def read_csv(request: Request) -> Opened | None:
    """a file, a folder or a pattern (.csv, .tsv, .txt; separated by | tab , or ;) of audio paths and texts"""
    is_one = request.path is not None and request.path.is_file()
    paths = request.of_kind(".csv", ".tsv", *([".txt"] if is_one else []))
    return None if paths is None else _table(paths, request, _folder_of(request))


@reader("hub")
def read_hub(request: Request) -> Opened | None:
    """a dataset id of the Hugging Face Hub (owner/name or owner/name:split; --dataset-config where it has several)"""
    if request.files or request.path is not None or not HUB_ID.fullmatch(request.where):
        return None
    return stream_dataset(request.where, request)


def stream_dataset(where: str, request: Request) -> Opened:
    """A dataset through datasets.load_dataset: of the Hub, or in tests a local folder laid out as one."""
    name, _, named_split = where.partition(":")
    try:
        splits = datasets.load_dataset(name, request.dataset_config, streaming=True)
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
    folder = str(Path(name).resolve()) if Path(name).is_dir() else f"hf://datasets/{name}"
    return Opened(partial(undecoded, splits[split]), f"split {split}", folder)


def _request(where: str, columns: ColumnNames, dataset_config: str | None, split: str) -> Request:
    path = Path(where).expanduser()
    if path.exists():
        return Request(where, columns, dataset_config, split, path.absolute())
    if glob.has_magic(where):
        files = sorted(glob.glob(str(path), recursive=True))
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
        raise UserError(f"{source.reader.where}: none of its first rows can be read. The first: {broken}.")
    raise UserError(
        f"{source.reader.where} ({source.kind}) holds no rows; expected a transcript and a recording in each."
    )


def _has(path: Path | None, name: str) -> bool:
    return path is not None and (path / name).is_file()


def _folder_of(request: Request) -> Path:
    if request.files:
        return Path(request.files[0]).parent
    return request.path if request.path.is_dir() else request.path.parent


def _is_audiofolder(table: Path) -> bool:
    if table.suffix == ".jsonl":
        return True
    source_rows.check_utf8(str(table))
    return "file_name" in next(source_rows.csv_lines(str(table), source_rows.separator_of(str(table))), (0, ""))[1]


def _stream(rows: Callable[..., Iterator[dict]], paths: list[str], **kwargs) -> datasets.IterableDataset:
    return datasets.IterableDataset.from_generator(rows, gen_kwargs={"paths": paths, **kwargs})


def _files(rows: Callable[..., Iterator[dict]], paths: list[str] | None, request: Request) -> Opened | None:
    if paths is None:
        return None
    if not paths:
        return Opened(None)
    folder = str(_folder_of(request))
    return Opened(partial(_stream, rows, paths), _named(paths), folder, confined=False, paths=tuple(paths))


def _table(paths: list[str], request: Request, folder: Path) -> Opened:
    """Separated values. A first line that names no known column is a row; its columns are then told by their order."""
    if not paths:
        return Opened(None)
    if Path(paths[0]).suffix == ".jsonl":
        source_rows.check_utf8(paths[0])
        rows = partial(_stream, source_rows.jsonl_rows, paths)
        return Opened(rows, _named(paths), str(folder), confined=False, paths=tuple(paths))
    for path in paths:
        source_rows.check_utf8(path)
    separator = source_rows.separator_of(paths[0])
    names = _names_by_order(paths[0], separator, request.columns)
    stream = partial(_stream, source_rows.csv_rows, paths, names=names, separator=separator)
    columns = "first line names the columns" if names is None else f"no header, columns taken as {', '.join(names)}"
    has_wavs = (folder / "wavs").is_dir()
    detail = f"{_named(paths)}, separated by {separator!r}, {columns}"
    return Opened(stream, detail, str(folder), False, has_wavs, tuple(paths))


def _names_by_order(path: str, separator: str, given: ColumnNames) -> tuple[str, ...] | None:
    """None for a header; else file, text, and for a third column what it looks like (a list would mean shards)."""
    lines = [line for _, line in itertools.islice(source_rows.csv_lines(path, separator), 50) if isinstance(line, list)]
    if not lines:
        return None
    known = {name for role in SYNONYMS.values() for name in role} | {
        given.text,
        given.audio,
        given.speaker,
        given.language,
    }
    header = [name.strip() for name in lines[0]]
    if known & {*header, *(name.lower().replace(" ", "_").replace("-", "_") for name in header)} or len(header) < 2:
        return None
    if len(header) == 2:
        return "file", "text"
    # LJSpeech repeats the sentence with its numbers spelled out; Coqui's lists put the speaker there.
    words = [[re.findall(r"\w+", field.lower()) for field in line[1:3]] for line in lines if len(line) > 2]
    is_text = sum(len(third) > 3 or bool(set(text) & set(third)) for text, third in words) * 2 > len(words)
    rest = [f"column_{number}" for number in range(4, len(header) + 1)]
    return "file", "text", "normalized_text" if is_text else "speaker", *rest


def _named(paths: list[str]) -> str:
    return (
        Path(paths[0]).name
        if len(paths) == 1
        else f"{len(paths)} files, {Path(paths[0]).name} to {Path(paths[-1]).name}"
    )
