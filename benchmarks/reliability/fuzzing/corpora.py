"""Tables, exclude lists, archives, parquet and JSON lines, read as training reads them, to batches."""

import contextlib
import csv
import gzip
import io
import json
import os
import random
import tarfile
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet

from benchmarks.reliability.fuzzing.drawn import cut, file_replaced, harmed, letters, number, value, word
from data_pipeline.batching.plan import Cursor
from data_pipeline.errors import UserError
from data_pipeline.reading.columns import SYNONYMS
from training.config.arguments import parse
from training.setup.inputs import build_inputs

NAMES = [name for role in SYNONYMS.values() for name in role] + ["start", "end", "offset", "duration", "begin", "stop"]
SETTINGS = "--device cpu --model-size debug --num-workers 0 --set data.max_broken_share=1.0"
SETTINGS += (
    " --set data.stall_minutes=0.05 --set data.val_fraction=0.2 --set train.cpu_threads=1 --set log.quality_sentences=0"
)
KINDS_OF_MEMBER = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE,
                   tarfile.GNUTYPE_SPARSE, tarfile.CONTTYPE, tarfile.XHDTYPE, b"Z")  # fmt: skip


def corpus(draw: random.Random, work: Path, kit) -> None:
    folder = work / "corpus"
    folder.mkdir()
    for place in range(3):
        (folder / f"{place}.wav").write_bytes(kit.short_wav)
    make = draw.choice([_table, _table, _json_lines, _json_lines, _parquet, _parquet, _tar, _tar, _tar, _zip, _tree])
    path = make(draw, folder, kit)
    flags = ["--train-data", str(draw.choice([path, path, path, folder, f"{folder}/*"]))]
    if draw.random() < 0.3:
        flags += ["--exclude-list", str(_exclude_list(draw, work))]
    if draw.random() < 0.2:
        flags += [f"--{draw.choice(['text', 'audio', 'speaker', 'language'])}-column", _column(draw) or "x"]
    if draw.random() < 0.8:
        flags += ["--language", "en"]
    read(flags, kit)


def read(flags: list[str], kit) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        config, _, _ = parse([*flags, *SETTINGS.split()], kit.hardware)
        inputs = build_inputs(config, frames_per_step=2, rank=0, world_size=1)
        for loader in (inputs.train, inputs.validation):
            for _ in loader.epoch(Cursor()):
                pass


def exclude_list(draw: random.Random, work: Path, kit) -> None:
    """By itself, with a small good corpus."""
    folder = work / "corpus"
    folder.mkdir()
    rows = [{"id": str(place), "audio": f"{place}.wav", "text": "yes"} for place in range(4)]
    for row in rows:
        (folder / row["audio"]).write_bytes(kit.short_wav)
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    read(["--train-data", str(folder), "--language", "en", "--exclude-list", str(_exclude_list(draw, work))], kit)


def _exclude_list(draw: random.Random, work: Path) -> Path:
    path = work / "exclude.tsv"
    ids = ["0", "1", "id", '"', '"2', "3\t", word(draw), letters(draw), "x" * 200_000, ""]
    lines = ["id\treason"] * draw.randint(0, 1) + [draw.choice(ids) + draw.choice(["", "\t", "\twhy"]) for _ in "abcd"]
    content = draw.choice(["\n", "\r\n", "\r"]).join(lines).encode(draw.choice(["utf-8", "utf-16"]), "replace")
    path.write_bytes(draw.choice([content, content, cut(draw, content), harmed(draw, content)]))
    if draw.random() < 0.1:
        file_replaced(draw, path)
    return path


def _column(draw: random.Random) -> str:
    return draw.choice([draw.choice(NAMES), draw.choice(NAMES), "text", "audio", letters(draw), word(draw)])


def _cell(draw: random.Random, column: str, place: int):
    """What fits a column of that name, mostly; else anything."""
    if draw.random() < 0.2:
        return value(draw)
    if column in SYNONYMS["text"]:
        return draw.choice(["yes", "no", letters(draw), "yes " * 50_000 if draw.random() < 0.05 else "well"])
    if column in SYNONYMS["rate"]:
        return draw.choice([16_000, "16000", number(draw)])
    if column in SYNONYMS["audio"] and draw.random() < 0.9:
        return draw.choice([f"{place % 3}.wav", f"{place % 3}", f"./{place % 3}.wav", "../corpus/0.wav"])
    return draw.choice([str(place), number(draw), letters(draw), 0.0, 0.1])


def _rows(draw: random.Random) -> tuple[list[str], list[dict]]:
    columns = draw.sample(["text", "audio", "speaker", "language"], draw.randint(2, 4))
    columns = [*columns, *(_column(draw) for _ in range(draw.randint(0, 3)))]
    rows = [{name: _cell(draw, name, place) for name in columns} for place in range(draw.choice([0, 1, 5, 8]))]
    return columns, rows


def _table(draw: random.Random, folder: Path, kit) -> Path:
    columns, rows = _rows(draw)
    text = io.StringIO()
    end, separator = draw.choice(["\n", "\r\n", "\r"]), draw.choice("|\t,;")
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=draw.choice([0, 1, 3]), escapechar="\\")
    if draw.random() < 0.8:
        writer.writerow(columns)
    writer.writerows([str(row[name]) for name in dict.fromkeys(columns)] for row in rows)
    encoding = draw.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"])
    return _put(draw, folder / f"train{draw.choice(['.csv', '.tsv', '.txt', '.CSV'])}", text.getvalue(), encoding)


def _json_lines(draw: random.Random, folder: Path, kit) -> Path:
    _, rows = _rows(draw)
    lines = [json.dumps(row) for row in rows]
    odd = ["", "null", "[]", "{}", '"', "{" * 50_000, "\0", '{"text": "a", "text": "b"}', "NaN", "9" * 5000]
    lines += draw.sample(odd, draw.randint(0, 2))
    if draw.random() < 0.1:
        lines.append(json.dumps({"text": "x" * 10_000_000, "audio": "0.wav"}))
    draw.shuffle(lines)
    return _put(draw, folder / draw.choice(["train.jsonl", "a.jsonl", "metadata.jsonl"]), "\n".join(lines), "utf-8")


def _put(draw: random.Random, path: Path, text: str, encoding: str) -> Path:
    content = text.encode(encoding, "replace")
    path.write_bytes(draw.choice([content, content, content, harmed(draw, content), cut(draw, content)]))
    return path


def _parquet(draw: random.Random, folder: Path, kit) -> Path:
    audio = {"bytes": kit.short_wav, "path": "0.wav"}
    rows = [{"text": "yes", "audio": audio, "id": str(place)} for place in range(draw.choice([1, 5]))]
    if draw.random() < 0.7:
        samples = [0.1 * (n % 7) for n in range(8000)]
        made = [number, word, lambda d: [number(d)] * 3, lambda d: {"bytes": None, "path": word(d)}]
        made += [lambda d: samples, lambda d: b"\xff\xfe", lambda d: None]
        made += [lambda d: {"array": samples, "sampling_rate": number(d)}]
        column, one = draw.choice(["text", "audio", "id", "speaker", "rate", _column(draw)]), draw.choice(made)
        rows = [row | {column: one(draw)} for row in rows]
    path, file = folder / "train.parquet", io.BytesIO()
    try:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), file, row_group_size=draw.choice([1, 100]))
    except (pyarrow.ArrowException, OverflowError, UnicodeEncodeError, TypeError):  # no table can hold it
        pyarrow.parquet.write_table(pyarrow.table({"text": [None]}), file)
    whole = file.getvalue()
    end = whole[:-400] + harmed(draw, whole[-400:])
    path.write_bytes(draw.choice([whole, whole, cut(draw, whole), harmed(draw, whole), end]))
    return path


def _tar(draw: random.Random, folder: Path, kit) -> Path:
    file = io.BytesIO()
    form = draw.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for place in range(draw.choice([1, 4, 4, 1000 if draw.random() < 0.1 else 2])):
            key = draw.choice([str(place), f"a/{place}", f"/{place}", f"../{place}", f"{letters(draw)}{place}"])
            for ending, content in (("wav", kit.short_wav), ("txt", b"yes"), ("json", b'{"text": "yes"}')):
                _add(draw, archive, f"{key}.{ending}", content if place < 50 else b"yes")
    ending = draw.choice([".tar", ".tar", ".tar.gz", ".tgz"])
    whole = file.getvalue()
    whole = draw.choice([whole, whole, cut(draw, whole), _header_changed(draw, whole)])
    packed = gzip.compress(whole, 1) if ending in (".tar.gz", ".tgz") else whole
    path = folder / f"train{ending}"
    path.write_bytes(draw.choice([packed, packed, cut(draw, packed), harmed(draw, packed)]))
    return path


def _add(draw: random.Random, archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    content = harmed(draw, content) if draw.random() < 0.2 else content
    member.size = len(content)
    if draw.random() < 0.1:
        member.type, member.linkname = draw.choice(KINDS_OF_MEMBER), draw.choice(["/etc/passwd", "0.wav", name])
    if draw.random() < 0.1:
        member.pax_headers = {word(draw) or "a": word(draw), "GNU.sparse.major": "1", "size": str(number(draw))[:50]}
    with contextlib.suppress(ValueError, UnicodeEncodeError):  # what this format cannot say
        archive.addfile(member, io.BytesIO(content))


def _header_changed(draw: random.Random, whole: bytes) -> bytes:
    """A field of a member's header, and its checksum made right."""
    data = bytearray(whole)
    at = 512 * draw.randrange(max(1, len(data) // 512))
    field = draw.choice([0, 100, 124, 124, 136, 156, 156, 257, 345])
    data[at + field : at + field + 12] = draw.choice([draw.randbytes(12), b"7" * 12, b"\x80" + bytes(11), b"-1" * 6])
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % (sum(data[at : at + 512]) % 2**18)
    return bytes(data[: len(whole)])


def _zip(draw: random.Random, folder: Path, kit) -> Path:
    path = folder / draw.choice(["train.zip", "train.7z", "train.csv", "train.tar", "train.parquet"])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.csv", "audio,text\n0.wav,yes\n")
        archive.writestr("0.wav", kit.short_wav)
    return path


def _tree(draw: random.Random, folder: Path, kit) -> Path:
    """Odd names, links, pipes and folders beside a table."""
    table = folder / "metadata.csv"
    table.write_text("file_name|text\n" + "".join(f"{place}.wav|yes\n" for place in range(3)))
    for _ in range(draw.randint(1, 5)):
        name = draw.choice(["x.csv", "x.wav", "1.wav", "metadata.csv", "train.parquet", "a.tar", ".x", letters(draw)])
        path = folder / (
            os.fsdecode(b"\xff\xfe.wav") if draw.random() < 0.1 else name.replace("/", "").replace("\0", "")
        )
        with contextlib.suppress(OSError, UserError, UnicodeEncodeError):  # no such name can be
            path.touch()
            file_replaced(draw, path)
    return draw.choice([table, folder])
