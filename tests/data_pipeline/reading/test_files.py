"""Folders as people have them: what is hidden is no data, links, cases and normal forms are as in a file manager."""

import json
import os
import unicodedata
from pathlib import Path

import pytest

from data_pipeline.errors import UserError
from data_pipeline.reading.exclude_list import write_exclude_list
from data_pipeline.reading.files import files_below
from data_pipeline.reading.sources import Source, open_source
from tests.data_pipeline.reading.test_sources import contents, expected, put, put_audio, put_tar


def table(folder: Path, rows: list[dict], name: str = "train.csv") -> str:
    """Rows with their recordings in wavs/ beside it."""
    put_audio(folder / "wavs", rows)
    put(folder / name, "\n".join(["path,text", *(f'{row["id"]}.opus,"{row["text"]}"' for row in rows)]))
    return str(folder)


def ids(source: Source) -> list[str]:
    return [source.to_utterance(row).id for row in source.rows()]


LEFT_BEHIND = {
    "._train.csv": b"\0\5\x16\7\0\2\0\0Mac OS X",
    ".train.csv.swp": b"b0VIM",
    ".cache/huggingface/other.csv": b"a,b\n",
    "__MACOSX/._train.csv": b"\0\5\x16\7",
    "@eaDir/train.csv": b"\xff",
    "wavs/._a.wav": b"\0\5",
    "old_run/checkpoints/step-1/rows.csv": b"\xff",
    "old_run/logs/a.csv": b"\xff",
}


def test_what_is_hidden_or_left_by_a_system_or_a_run_is_no_data(recordings, tmp_path):
    folder = table(tmp_path, recordings[:3])
    for name, content in LEFT_BEHIND.items():
        put(tmp_path / name, content)
    (tmp_path / "check").mkdir()
    write_exclude_list(tmp_path / "check" / "exclude.tsv", [("a", "noisy")])
    write_exclude_list(tmp_path / "kept.tsv", [])
    assert contents(open_source(folder)) == expected(recordings[:3])
    assert files_below(folder) == sorted(
        str(tmp_path / name) for name in ["train.csv", *(f"wavs/{row['id']}.opus" for row in recordings[:3])]
    )


def test_a_folder_that_is_hidden_itself_can_be_named(recordings, tmp_path):
    assert contents(open_source(table(tmp_path / ".data", recordings[:2]))) == expected(recordings[:2])


def test_folders_behind_links_are_read_once_and_circles_end(recordings, tmp_path):
    table(tmp_path / "elsewhere", recordings[:3])
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "data").symlink_to(tmp_path / "elsewhere")
    (corpus / "again").symlink_to("data")
    (tmp_path / "elsewhere" / "up").symlink_to(corpus)
    (corpus / "gone.csv").symlink_to(tmp_path / "nowhere.csv")
    assert contents(open_source(str(corpus))) == expected(recordings[:3])


@pytest.mark.parametrize("name", ["wavs/A B.wav", "wavs\\a b.WAV", "Wavs/a b", "a b.Wav", "A B"])
def test_a_file_is_found_in_whatever_case_it_is_written(name, recordings, tmp_path):
    found = put(tmp_path / "WAVS" / "a B.WAV", recordings[0]["audio"]["bytes"])
    put(tmp_path / "train.csv", f"path,text\n{name},words\n")
    [row] = (source := open_source(str(tmp_path))).rows()
    assert source.to_utterance(row).audio == str(found)


def test_of_names_that_differ_in_case_only_the_very_one_is_meant(recordings, tmp_path):
    for name, row in zip(("a.wav", "A.wav"), recordings, strict=False):
        put(tmp_path / name, row["audio"]["bytes"])
    put(tmp_path / "train.csv", "path,text\nA.wav,words\na.wav,words\nA.WAV,words\n")
    source = open_source(str(tmp_path))
    first, second, neither = source.rows()
    assert Path(source.to_utterance(first).audio).name == "A.wav"
    assert Path(source.to_utterance(second).audio).name == "a.wav"
    with pytest.raises(UserError, match="does not exist"):
        source.to_utterance(neither)


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_name_is_found_in_either_normal_form(on_disk, in_table, recordings, tmp_path):
    name = "Grüße/é 1.opus"
    found = put(tmp_path / unicodedata.normalize(on_disk, name), recordings[0]["audio"]["bytes"])
    put(tmp_path / "train.csv", f"path,text\n{unicodedata.normalize(in_table, name)},words\n")
    [row] = (source := open_source(str(tmp_path))).rows()
    assert source.to_utterance(row).audio == str(found)


def test_names_of_tables_are_read_in_any_case(recordings, tmp_path):
    assert open_source(table(tmp_path / "a", recordings[:2], "Metadata.CSV")).kind == "ljspeech"
    assert open_source(table(tmp_path / "b", recordings[:2], "METADATA_TRAIN.csv")).kind == "seed"


# Several tables


def lists(folder: Path, rows: list[dict], name: str) -> None:
    """LJSpeech's own layout, its recordings numbered from 0 in every folder."""
    for number, row in enumerate(rows):
        put(folder / "wavs" / f"{number:04}.opus", row["audio"]["bytes"])
    put(folder / name, "\n".join(f"{number:04}|{row['text']}|{row['text']}" for number, row in enumerate(rows)))


@pytest.mark.parametrize("where", ["*/metadata.csv", "*", "", "de_DE/by_book/*/*/metadata.csv"])
def test_each_table_has_its_own_recordings(where, recordings, tmp_path):
    """As M-AILABS has them, a folder for each book; and the same names in each."""
    inner = "de_DE/by_book/female" if where.startswith("de") else ""
    for name, rows in (("anna", recordings[:3]), ("bela", recordings[3:6])):
        lists(tmp_path / inner / name, rows, "metadata.csv")
    source = open_source(str(tmp_path / where) if where else str(tmp_path))
    assert contents(source) == expected(recordings[:6])
    assert ids(source) == [f"{name}/{number:04}" for name in ("anna", "bela") for number in range(3)]


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "tsv"])
def test_paths_are_relative_to_their_table_in_every_format(ending, recordings, tmp_path):
    for name, rows in (("en", recordings[:2]), ("fr", recordings[2:4])):
        for number, row in enumerate(rows):
            put(tmp_path / name / "clips" / f"{number}.opus", row["audio"]["bytes"])
        lines = [f"{number}.opus\t{row['text']}" for number, row in enumerate(rows)]
        if ending != "tsv":
            cells = (line.split("\t") for line in lines)
            lines = [json.dumps({"path": path, "sentence": sentence}) for path, sentence in cells]
        else:
            lines.insert(0, "path\tsentence")
        put(tmp_path / name / f"train.{ending}", "\n".join(lines))
    source = open_source(str(tmp_path))
    assert contents(source) == expected(recordings[:4])
    assert ids(source) == ["en/0", "en/1", "fr/0", "fr/1"]


def test_folders_with_metadata_are_read_together(recordings, tmp_path):
    for name, rows in (("a", recordings[:2]), ("b", recordings[2:4])):
        put_audio(tmp_path / name, rows)
        put(
            tmp_path / name / "metadata.csv",
            "file_name,text\n" + "\n".join(f'{r["id"]}.opus,"{r["text"]}"' for r in rows),
        )
    source = open_source(str(tmp_path))
    assert source.kind == "audiofolder" and contents(source) == expected(recordings[:4])


def test_a_path_below_the_corpus_is_found_from_a_table_in_a_folder_of_its_own(recordings, tmp_path):
    put_audio(tmp_path / "wavs", recordings[:2])
    for count in (1, 2):  # tables
        row = recordings[count - 1]
        put(tmp_path / f"lists{count}" / "train.csv", f'path,text\nwavs/{row["id"]}.opus,"{row["text"]}"\n')
        source = open_source(str(tmp_path))
        assert contents(source) == expected(recordings[:count])
        assert ids(source) == [f"wavs/{row['id']}" for row in recordings[:count]]


def test_tables_of_different_layouts_stand_side_by_side(recordings, tmp_path):
    table(tmp_path / "a", recordings[:2])
    lists(tmp_path / "b", recordings[2:4], "train.csv")
    assert contents(open_source(str(tmp_path))) == expected(recordings[:4])


# What only looks like a table


@pytest.mark.parametrize("name", ["x.csv", "x.tar", "metadata.csv", "train.parquet", "metadata_train.csv"])
def test_a_folder_with_the_name_of_a_file_is_a_folder(name, recordings, tmp_path):
    table(tmp_path, recordings[:2])
    (tmp_path / name).mkdir()
    assert contents(open_source(str(tmp_path))) == expected(recordings[:2])
    table(tmp_path / "inner" / name, recordings[:2])
    assert contents(open_source(str(tmp_path / "inner" / name))) == expected(recordings[:2])


def test_a_pipe_is_not_waited_for(recordings, tmp_path):
    folder = table(tmp_path, recordings[:2])
    os.mkfifo(tmp_path / "other.csv")
    assert contents(open_source(folder)) == expected(recordings[:2])


def test_names_that_are_no_utf8_are_read_and_can_be_shown(recordings, tmp_path):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    table(Path(os.fsdecode(folder)), recordings[:2])
    source = open_source(os.fsdecode(folder))
    assert contents(source) == expected(recordings[:2])
    assert source.describe().encode() and [name.encode() for name in ids(source)]


@pytest.mark.parametrize("name", ["train.csv", "train.jsonl", "train.parquet", "train.tar"])
def test_a_file_that_may_not_be_read_is_one_message(name, tmp_path, monkeypatch):
    path = put(tmp_path / name, "a")
    if name.endswith("tar"):
        put_tar(path, {"a.txt": b"a"})

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refused)
    monkeypatch.setattr("os.open", refused)  # of tarfile
    monkeypatch.setattr("pyarrow.parquet.ParquetFile", refused)
    with pytest.raises(UserError, match=f"{name} cannot be read .*Permission denied"):
        open_source(str(path))


def test_a_folder_that_may_not_be_read_is_one_message(recordings, tmp_path, monkeypatch):
    folder = table(tmp_path, recordings[:2])

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refused)
    with pytest.raises(UserError, match="cannot be read .*Permission denied.*ls -l"):
        open_source(folder)
