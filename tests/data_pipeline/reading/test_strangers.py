"""Data from a stranger, as attacks: nothing outside the corpus is read, nothing is written, no code runs, no bomb fills
the memory; what is wrong costs one row, or is one clear error."""

import gzip
import io
import json
import os
import struct
import tarfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from data_pipeline.batching.row_stats import RowStats
from data_pipeline.errors import UserError, tell
from data_pipeline.reading import source_rows
from data_pipeline.reading.columns import ColumnNames, RowReader
from data_pipeline.reading.held_out import HeldOut
from data_pipeline.reading.source_rows import BROKEN, tar_rows
from data_pipeline.reading.sources import Source, open_source
from data_pipeline.recordings.audio import BrokenAudio, decode_audio, duration_s
from tests.data_pipeline.reading.test_sources import open_hub, put, put_tar

TEXT = json.dumps({"text": "a"}).encode()


@pytest.fixture
def secret(tmp_path, recordings) -> Path:
    """A recording beside the corpus."""
    return put(tmp_path / "secret.opus", recordings[0]["audio"]["bytes"])


@pytest.fixture
def outside(tmp_path):
    """Nothing but the corpus may have changed."""

    def listing() -> dict:
        files = (path for path in tmp_path.rglob("*") if path.is_file() and "corpus" not in path.parts)
        return {path: path.read_bytes() for path in files}

    before = listing()
    yield
    assert listing() == before


def hub_rows(folder: Path, *audio: str) -> tuple[Source, list[dict]]:
    """A dataset as of the Hub, by its local path, whose rows name these recordings."""
    put(folder / "train.jsonl", "\n".join(json.dumps({"text": "a", "audio": one}) for one in audio))
    source = open_hub(str(folder), "train")
    return source, list(source.rows())


# Names that lead out of the corpus


def test_links_that_leave_the_corpus_are_not_followed(tmp_path, secret):
    """Also those that lie where a name is only looked for in the end: in wavs/, or with an ending added."""
    wavs = tmp_path / "corpus" / "wavs"
    wavs.mkdir(parents=True)
    for name in ("a.opus", "../b.opus"):
        (wavs / name).symlink_to(secret)
    (tmp_path / "corpus" / "clips").symlink_to(tmp_path)
    source, rows = hub_rows(tmp_path / "corpus", "a.opus", "a", "b.opus", "b", "wavs/a.opus", "secret.opus", "secret")
    for row in rows:
        with pytest.raises(UserError, match="outside of the corpus"):
            source.to_utterance(row)


def test_links_inside_the_corpus_are_followed(tmp_path, recordings):
    put(tmp_path / "corpus" / "shared" / "a.opus", recordings[0]["audio"]["bytes"])
    (tmp_path / "corpus" / "wavs").symlink_to(tmp_path / "corpus" / "shared")
    source, [row] = hub_rows(tmp_path / "corpus", "a.opus")
    assert duration_s(source.to_utterance(row).audio) > 0.5


CHAINS = [
    "file://{secret}",
    "file://{secret}::hf://datasets/owner/name/a.zip",
    "simplecache::file://{secret}",
    "simplecache::hf://datasets/owner/name/a.wav",
    "filecache::hf://datasets/owner/name/a.wav",
    "zip://a.wav::file://{secret}",
    "zip://a.wav::{secret}",
    "local://{secret}::hf://datasets/owner/name/a.zip",
    "zip://../a.wav::hf://datasets/owner/name/a.zip",
    "hf://datasets/owner/name/../../other/private/a.wav",
    "hf://datasets/owner/name/..\\a.wav",
    "a.wav::file://{secret}",
    "simplecache::{secret}",
    "https://example.org/a.wav",
]


@pytest.mark.parametrize("folder", ["hf://datasets/owner/name", "local", None])
@pytest.mark.parametrize("chain", CHAINS)
def test_urls_that_lead_away_are_refused(chain, folder, tmp_path, secret, outside):
    folder = str(tmp_path) if folder == "local" else folder
    reader = RowReader("owner/name", ColumnNames(), folder, confined=True)
    with pytest.raises(UserError, match="expected bytes"):
        reader.to_utterance({"text": "a", "audio": chain.format(secret=secret)})


def test_only_the_hub_s_own_data_may_lie_on_the_hub():
    """An archive of somebody else must not make this computer fetch what only its user may see."""
    url, zipped = "hf://datasets/owner/name/a.wav", "zip://a.wav::hf://datasets/owner/name@main/a.zip"
    for audio in (url, zipped):
        row = {"text": "a", "audio": audio}
        hub = RowReader("owner/name", ColumnNames(), "hf://datasets/owner/name", confined=True)
        own = RowReader("a.csv", ColumnNames(), "/data", confined=False)
        assert hub.to_utterance(row).audio == own.to_utterance(row).audio == audio
        with pytest.raises(UserError, match="expected bytes"):
            RowReader("a.tar", ColumnNames(), None, confined=True).to_utterance(row)


@pytest.mark.parametrize("name", ["a\0.wav", "\0", "x" * 5000 + ".wav"])
def test_names_that_no_file_can_have_cost_one_row(name, tmp_path, recordings):
    folder = tmp_path / "corpus"
    put(folder / "good.opus", recordings[0]["audio"]["bytes"])
    own = put(tmp_path / "own" / "train.jsonl", json.dumps({"text": "a", "audio": name}))
    source, [row, good] = hub_rows(folder, name, "good.opus")
    assert source.to_utterance(good).audio
    for one, bad in ((source, row), (open_source(str(own)), next(iter(open_source(str(own)).rows())))):
        with pytest.raises(UserError, match="Row .* (outside of the corpus|does not exist)"):
            one.to_utterance(bad)


def test_half_characters_reach_neither_screen_nor_file(tmp_path, recordings):
    put(tmp_path / "a.opus", recordings[0]["audio"]["bytes"])
    row = {"id": "a\ud800", "text": "b\udc80", "audio": "a.opus", "speaker": "c\ud800"}
    reader = RowReader("it", ColumnNames(), str(tmp_path), confined=False)
    utterance = reader.to_utterance(row)
    assert (utterance.id, utterance.text, utterance.speaker) == ("a?", "b?", "c?")
    assert HeldOut(1.0)(utterance) and HeldOut(1.0, by_row=True)(utterance)
    with pytest.raises(UserError, match="does not exist") as caught:
        reader.to_utterance(row | {"audio": "\ud800.wav"})
    assert str(caught.value).encode()
    row_stats = RowStats()
    row_stats.add_broken("a\ud800", "no \udc80")
    assert row_stats.broken == {"a?": "no ?"}


@pytest.mark.parametrize("audio", [[1, [2], 3], [[1, 2], [3]], [{"x": 1}, 2], ["\ud800"], [10**400]])
def test_samples_that_are_none_cost_one_row(audio, tmp_path):
    """Also where the row has no name, so that it is called by what it holds."""
    reader = RowReader("it", ColumnNames(), str(tmp_path), confined=False)
    for given in (audio, {"array": audio, "sampling_rate": 16_000}):
        with pytest.raises(UserError, match="as a list of .* values"):
            reader.to_utterance({"text": "a", "audio": given, "rate": 16_000})


def test_parquet_out_of_a_pipe_is_refused_before_it_is_waited_for(tmp_path):
    """pyarrow opens it in C, where neither the limit of a stall nor Ctrl-C reaches it."""
    os.mkfifo(tmp_path / "train.parquet")
    with pytest.raises(UserError, match="train.parquet is no regular file, and parquet is read from its end"):
        list(open_source(str(tmp_path)).rows())


# Archives


def test_members_with_names_that_lead_out_are_read_where_they_are(tmp_path, secret, recordings, outside):
    members = {}
    for name in ("../../escaped", str(tmp_path / "absolute"), "wavs/../../c"):
        members |= {f"{name}.opus": recordings[0]["audio"]["bytes"], f"{name}.json": TEXT}
    source = open_source(str(put_tar(tmp_path / "corpus" / "train.tar", members)))
    assert all(source.to_utterance(row).audio == recordings[0]["audio"]["bytes"] for row in source.rows())
    assert len(list(source.rows())) == 3


def test_links_in_an_archive_are_not_followed(tmp_path, secret):
    path = tmp_path / "corpus" / "train.tar"
    put_tar(path, {"0.json": TEXT})
    with tarfile.open(path, "a") as archive:
        for name, kind in (("1", tarfile.SYMTYPE), ("2", tarfile.LNKTYPE)):
            link = tarfile.TarInfo(f"{name}.opus")
            link.type, link.linkname = kind, str(secret)
            archive.addfile(link)
            document = tarfile.TarInfo(f"{name}.json")
            document.size = len(TEXT)
            archive.addfile(document, io.BytesIO(TEXT))
    rows = list(tar_rows([str(path)]))
    assert [sorted(row) for row in rows] == [["__key__", "json"]] * 3


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def put_gz(path: Path, *parts: bytes) -> str:
    put(path, gzip.compress(b"".join(parts), compresslevel=1))
    return str(path)


def member(name: str, content: bytes) -> bytes:
    return header(name, len(content)) + content + bytes(-len(content) % 512)


def test_a_member_that_unpacks_to_too_much_costs_its_row(tmp_path, monkeypatch):
    """Of zeros, a thousandth of its size; it is passed over, never in memory."""
    monkeypatch.setattr(source_rows, "MOST_AUDIO_BYTES", 2**20)
    bomb = member("1.wav", bytes(2**24))
    path = put_gz(tmp_path / "a.tar.gz", bomb, member("1.txt", b"a"), member("2.wav", b"RIFF"), member("2.txt", b"b"))
    first, second = tar_rows([path])
    assert "a.tar.gz:1.wav has 16777216 bytes; expected one utterance" in first[BROKEN] and "wav" not in first
    assert second["wav"]["bytes"] == b"RIFF" and second["txt"] == "b"


BOMBS = {
    "read over": (header("video.mp4", 2**40), "more than 100 times its size"),
    "a long name": (header("a", 2**33, tarfile.GNUTYPE_LONGNAME), "a header says 8589934592 bytes"),
    "a pax header": (header("a", 2**33, tarfile.XHDTYPE), "a header says 8589934592 bytes"),
    "a sparse file": (header("a.wav", 2**30, tarfile.GNUTYPE_SPARSE), "sparse"),
    "backwards": (header("a.wav", -(2**12)), "a header says -4096 bytes"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_an_archive_that_is_a_bomb_is_one_clear_error(name, tmp_path):
    bomb, message = BOMBS[name]
    path = put_gz(tmp_path / "a.tar.gz", bomb, bytes(4096))
    with pytest.raises(UserError, match=f"a.tar.gz cannot be read .*{message}"):
        list(tar_rows([path]))


def test_json_that_is_nested_without_end_costs_its_row(tmp_path):
    deep = b"[" * 200_000
    put(tmp_path / "a.jsonl", deep + b"\n" + b'{"text": "a", "audio": "a.wav"}')
    broken, good = open_source(str(tmp_path / "a.jsonl")).rows()
    assert "a.jsonl, line 1 is no JSON" in broken[BROKEN] and good["text"] == "a"
    tar = put_tar(tmp_path / "a.tar", {"1.json": deep, "2.json": TEXT})
    broken, good = tar_rows([str(tar)])
    assert "1.json" in broken[BROKEN] and good["json"] == {"text": "a"}


def sparse(headers: dict[str, str]) -> bytes:
    """A member that GNU tar would write for a file with holes, its map as the headers say."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a.wav")
        info.size, info.pax_headers = 4, {f"GNU.sparse.{name}": value for name, value in headers.items()}
        archive.addfile(info, io.BytesIO(b"RIFF"))
    return file.getvalue()


SPARSE = [
    {"map": "x,y"},
    {"map": "1,2,3"},
    {"size": "9", "numblocks": "many"},
    {"major": "1", "minor": "0", "name": "a.wav", "realsize": "large"},
    {"major": "1", "minor": "0", "realsize": "9"},
]


@pytest.mark.parametrize("headers", SPARSE)
def test_a_sparse_header_that_is_broken_is_one_clear_error(headers, tmp_path):
    path = put(tmp_path / "a.tar", sparse(headers))
    with pytest.raises(UserError, match="a.tar cannot be read as a tar archive"):
        list(tar_rows([str(path)]))


# Parquet


def put_table(path: Path, **columns) -> str:
    pyarrow.parquet.write_table(pyarrow.table(columns), path, compression="zstd")
    return str(path)


def test_a_column_that_is_a_map_is_no_harm(tmp_path, recordings):
    tags = pyarrow.array([[("take", 1)], None], pyarrow.map_(pyarrow.string(), pyarrow.int64()))
    audio = [row["audio"]["bytes"] for row in recordings[:2]]
    source = open_source(put_table(tmp_path / "a.parquet", text=["a", "b"], audio=audio, tags=tags))
    assert [source.to_utterance(row).text for row in source.rows()] == ["a", "b"]
    source = open_source(put_table(tmp_path / "b.parquet", text=["a", "b"], audio=tags))
    with pytest.raises(UserError, match="Row .* of .*b.parquet"):
        source.to_utterance(next(iter(source.rows())))


def test_a_column_that_is_there_twice_is_one_clear_error(tmp_path):
    columns = [pyarrow.array(["a"]), pyarrow.array(["b"]), pyarrow.array([b"x"])]
    pyarrow.parquet.write_table(
        pyarrow.Table.from_arrays(columns, names=["text", "text", "audio"]), tmp_path / "a.parquet"
    )
    with pytest.raises(UserError, match="a.parquet has several columns of the name 'text'"):
        open_source(str(tmp_path / "a.parquet"))


def test_a_text_that_is_no_utf8_costs_its_row(tmp_path, recordings):
    offsets = pyarrow.array([0, 2, 4], pyarrow.int32()).buffers()[1]
    text = pyarrow.Array.from_buffers(pyarrow.string(), 2, [None, offsets, pyarrow.py_buffer(b"ok\xff\xfe")])
    audio = [row["audio"]["bytes"] for row in recordings[:2]]
    source = open_source(put_table(tmp_path / "a.parquet", text=text, audio=audio))
    good, bad = source.rows()
    assert source.to_utterance(good).text == "ok"
    with pytest.raises(UserError, match="A row of .*a.parquet cannot be read .*utf-8"):
        source.to_utterance(bad)


@pytest.mark.parametrize("kind", ["numbers", "bytes"])
def test_a_parquet_file_that_is_a_bomb_is_one_clear_error(kind, tmp_path, monkeypatch):
    """A value that comes again and again takes no room in the file."""
    monkeypatch.setattr(source_rows, "UNPACKED_ANYWAY", 2**20)
    audio = pyarrow.array([[0.0] * 1_000_000], pyarrow.list_(pyarrow.float32()))
    if kind == "bytes":
        audio = [bytes(2**22)]
    path = put_table(tmp_path / "a.parquet", text=["a"], audio=audio, rate=[16_000])
    assert Path(path).stat().st_size < 20_000
    with pytest.raises(UserError, match="a.parquet unpacks to more than 100 times its size"):
        open_source(path)


@pytest.mark.parametrize("audio", [[], {"array": [], "sampling_rate": 16_000}, {"bytes": b"", "path": None}, {}])
def test_no_samples_at_all_cost_their_row(audio, tmp_path):
    put(tmp_path / "a.jsonl", json.dumps({"text": "a", "audio": audio, "sr": 16_000}, default=lambda _: ""))
    source = open_source(str(tmp_path / "a.jsonl"))
    row = {"text": "a", "audio": audio, "sr": 16_000}
    for one in (row, next(iter(source.rows()))):
        with pytest.raises(UserError, match="Row .* has no audio|0 bytes"):
            decode_audio(source.to_utterance(one).audio, 16_000, name="a")


def test_a_cell_of_megabytes_is_no_message(tmp_path, recordings, capsys):
    put(tmp_path / "a.opus", recordings[0]["audio"]["bytes"])
    huge = "x" * 2**21
    reader = RowReader("it", ColumnNames(), str(tmp_path), confined=False)
    good = {"id": huge, "text": "a", "audio": "a.opus", "speaker": huge}
    assert len(reader.to_utterance(good).id) < 400
    assert reader.to_utterance(good).id != reader.to_utterance(good | {"id": huge + "y"}).id
    wrong = [
        {"audio": huge},
        {"audio": [1, huge]},
        {"text": {"a": huge}},
        {"text": ["x"] * 2**20},
        {"audio": {"bytes": None, "a": huge}},
    ]
    for change in wrong:
        with pytest.raises(UserError) as caught:
            reader.to_utterance(good | change)
        assert len(str(caught.value)) < 3000
    with pytest.raises(UserError) as caught:
        reader.roles({huge: 1, "b": 2})
    assert len(str(caught.value)) < 3000
    tell(UserError(huge))
    assert len(capsys.readouterr().err) < 3000
    row_stats = RowStats()
    row_stats.add_broken("a", huge)
    assert len(row_stats.broken["a"]) < 3000


# Recordings


def flac_that_promises(samples: int, recordings) -> bytes:
    """A header that says so many samples (36 bits from byte 21 on), over two seconds of speech."""
    wave, file = decode_audio(recordings[0]["audio"]["bytes"], 22_050), io.BytesIO()
    soundfile.write(file, wave, 22_050, format="FLAC")
    content = bytearray(file.getvalue())
    content[21:26] = struct.pack(">Q", int.from_bytes(content[21:26], "big") >> 36 << 36 | samples)[3:]
    return bytes(content)


@pytest.mark.parametrize("samples", [2**27 + 1, 2**36 - 1])
def test_memory_is_not_taken_for_what_a_header_promises(samples, recordings):
    audio = flac_that_promises(samples, recordings)
    assert duration_s(audio) == pytest.approx(samples / 22_050)
    with pytest.raises(BrokenAudio, match=f"says it holds {samples} samples of 1 channels"):
        decode_audio(audio, 22_050)


def test_no_more_is_decoded_than_a_header_promises(recordings):
    """So what was let in for its length is no longer."""
    assert len(decode_audio(flac_that_promises(5000, recordings), 22_050)) == 5000


# Code


def test_a_script_beside_the_data_does_not_run(tmp_path, recordings, outside):
    folder, mark = tmp_path / "corpus", tmp_path / "it_ran"
    put(folder / "a.opus", recordings[0]["audio"]["bytes"])
    put(folder / "train.jsonl", json.dumps({"text": "a", "audio": "a.opus"}))
    for name in ("corpus.py", "__init__.py", "conftest.py", "dataset.py"):
        put(folder / name, f"open({str(mark)!r}, 'w')")
    with pytest.raises(UserError, match="scripts are no longer supported"):
        open_hub(str(folder), "train")
    own = open_source(str(folder))
    assert own.to_utterance(next(iter(own.rows()))).text == "a"
    (folder / "corpus.py").unlink()
    assert len(list(open_hub(str(folder), "train").rows())) == 1
    assert not mark.exists()
