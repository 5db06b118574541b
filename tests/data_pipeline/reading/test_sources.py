"""Each kind of corpus is written to disk as its users have it, and read back: the same recordings and texts."""

import csv
import io
import json
import pickle
import tarfile
import tracemalloc
from pathlib import Path

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from data_pipeline.errors import UserError
from data_pipeline.reading import sources
from data_pipeline.reading.columns import ColumnNames, RowReader
from data_pipeline.reading.source_rows import tar_rows
from data_pipeline.reading.sources import READERS, Request, Source, default_train_data, open_source, stream_dataset
from data_pipeline.reading.splits import of_split
from data_pipeline.recordings.audio import decode_audio
from data_pipeline.utterance import Samples

AUDIO = datasets.Features(
    {name: datasets.Value("string") for name in ("id", "text", "speaker", "language")} | {"audio": datasets.Audio()}
)


def put(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def put_audio(folder: Path, rows: list[dict]) -> None:
    for row in rows:
        put(folder / f"{row['id']}.opus", row["audio"]["bytes"])


def put_parquet(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{name: row[name] for name in AUDIO} for row in rows]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=AUDIO.arrow_schema), path, row_group_size=2)
    return path


def put_tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def make_seed(folder: Path, train: list[dict], held: list[dict]) -> str:
    put_audio(folder / "wavs", train + held)
    for name, rows in (("train", train), ("eval", held)):
        lines = ["audio_file|text|speaker_name", *(f"wavs/{r['id']}.opus|{r['text']}|{r['speaker']}" for r in rows)]
        put(folder / f"metadata_{name}.csv", "\n".join(lines))
    return str(folder)


def make_audiofolder(folder: Path, train: list[dict], held: list[dict]) -> str:
    for name, rows in (("train", train), ("validation", held)):
        put_audio(folder / name, rows)
        lines = [
            json.dumps({"file_name": f"{r['id']}.opus", "transcription": r["text"], "lang": r["language"]})
            for r in rows
        ]
        put(folder / name / "metadata.jsonl", "\n".join(lines))
    return str(folder)


def make_ljspeech(folder: Path, train: list[dict], held: list[dict]) -> str:
    put_audio(folder / "wavs", train)
    put(folder / "metadata.csv", "\n".join(f'{r["id"]}|"{r["text"]} raw and long|{r["text"]}' for r in train))
    return str(folder)


def make_parquet(folder: Path, train: list[dict], held: list[dict]) -> str:
    put_parquet(folder / "train-00000-of-00002.parquet", train[:3])
    put_parquet(folder / "train-00001-of-00002.parquet", train[3:])
    put_parquet(folder / "heldout.parquet", held)
    return str(folder)


def make_webdataset(folder: Path, train: list[dict], held: list[dict]) -> str:
    for name, rows in (("train-0000", train), ("dev-0000", held)):
        members = {}
        for row in rows:
            members[f"{row['id']}.opus"] = row["audio"]["bytes"]
            members[f"{row['id']}.json"] = json.dumps({"text": row["text"], "speaker": row["speaker"]}).encode()
        put_tar(folder / f"{name}.tar", members)
    return str(folder)


def make_jsonl(folder: Path, train: list[dict], held: list[dict]) -> str:
    put_audio(folder / "audio", train + held)
    for name, rows in (("train", train), ("valid", held)):
        lines = [json.dumps({"audio_filepath": f"{r['id']}.opus", "text": r["text"], "speaker": 7}) for r in rows]
        put(folder / f"{name}.jsonl", "\n".join(lines) + "\n\n")
    return str(folder)


def make_csv(folder: Path, train: list[dict], held: list[dict]) -> str:
    """As Common Voice has it: tab, clips/, client_id, sentence, locale, and a byte order mark."""
    put_audio(folder / "clips", train + held)
    for name, rows in (("train", train), ("test", held)):
        lines = ["client_id\tpath\tsentence\tlocale"]
        lines += [f"{r['speaker']}\t{r['id']}.opus\t{r['text']}\t{r['language']}" for r in rows]
        put(folder / f"{name}.tsv", "\ufeff" + "\n".join(lines))
    return str(folder)


def open_hub(where: str, split: str) -> Source | None:
    """A Hub dataset by the path of the code that a Hub id takes, from a folder."""
    opened = stream_dataset(where, Request(where, ColumnNames(), None, split, None))
    return (
        Source("hub", opened, RowReader(where, ColumnNames(), opened.folder, opened.confined))
        if opened.stream
        else None
    )


MAKERS = {
    "seed": make_seed,
    "audiofolder": make_audiofolder,
    "ljspeech": make_ljspeech,
    "parquet": make_parquet,
    "webdataset": make_webdataset,
    "jsonl": make_jsonl,
    "csv": make_csv,
    "hub": make_parquet,
}


def open_kind(kind: str, where: str, split: str = "train") -> Source | None:
    return open_hub(where, split) if kind == "hub" else open_source(where, split=split)


@pytest.fixture(params=READERS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def corpus(kind, recordings, tmp_path) -> str:
    return MAKERS[kind](tmp_path / "corpus", recordings[:6], recordings[6:9])


def contents(source: Source) -> list[tuple[str, int]]:
    """(text, samples at 16 kHz) of each row."""
    utterances = [source.to_utterance(row) for row in source.rows()]
    return [(u.text, len(decode_audio(u.audio, 16_000))) for u in utterances]


def expected(rows: list[dict]) -> list[tuple[str, int]]:
    return [(row["text"], len(decode_audio(row["audio"]["bytes"], 16_000))) for row in rows]


def test_train_rows(kind, corpus, recordings):
    source = open_kind(kind, corpus)
    assert source.kind == kind and corpus in source.describe()
    assert contents(source) == expected(recordings[:6])
    assert [source.to_utterance(row).id for row in source.rows()] == [
        {"csv": "{}", "seed": "wavs/{}"}.get(kind, "{}").format(row["id"]) for row in recordings[:6]
    ]


def test_validation_rows(kind, corpus, recordings):
    if kind == "ljspeech":
        assert open_kind(kind, corpus, "validation") is None
    elif kind == "hub":  # a name of a split that datasets itself does not know belongs to train
        put_parquet(Path(corpus) / "validation.parquet", recordings[6:9])
        (Path(corpus) / "heldout.parquet").unlink()
        assert contents(open_kind(kind, corpus, "validation")) == expected(recordings[6:9])
    else:
        assert contents(open_kind(kind, corpus, "validation")) == expected(recordings[6:9])


def test_shuffled_and_skipped_rows_are_exact(kind, corpus, monkeypatch):
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0.1)  # 5 s for each stream of the hub's
    source = open_kind(kind, corpus)
    order = [source.to_utterance(row).id for row in source.rows().shuffle(seed=3, buffer_size=4)]
    assert sorted(order) == sorted(source.to_utterance(row).id for row in source.rows())
    for done in (0, 1, 5):
        rest = source.rows().shuffle(seed=3, buffer_size=4).skip(done)
        assert [source.to_utterance(row).id for row in rest] == order[done:]


def test_a_source_goes_to_other_processes(kind, corpus):
    source = open_kind(kind, corpus)
    assert contents(pickle.loads(pickle.dumps(source))) == contents(source)


def test_speaker_and_language(recordings, tmp_path):
    row = recordings[0]
    for kind, make in MAKERS.items():
        source = open_kind(kind, make(tmp_path / kind, recordings[:6], recordings[6:9]))
        utterance = source.to_utterance(next(iter(source.rows())))
        speaker = {"audiofolder": None, "ljspeech": None, "jsonl": "7"}.get(kind, row["speaker"])
        language = row["language"] if kind in ("audiofolder", "parquet", "csv", "hub") else None
        assert (utterance.speaker, utterance.language) == (speaker, language), kind
    source = open_source(str(tmp_path / "ljspeech"), language="fa")
    assert source.to_utterance(next(iter(source.rows()))).language == "fa"


def test_a_hub_dataset_of_files_and_of_archives(recordings, tmp_path):
    for make in (make_audiofolder, make_webdataset):
        where = make(tmp_path / make.__name__, recordings[:6], recordings[6:9])
        assert contents(open_hub(where, "train")) == expected(recordings[:6])


def test_a_named_split_of_a_hub_dataset(recordings, tmp_path, monkeypatch):
    make_webdataset(tmp_path / "owner" / "name", recordings[:6], recordings[6:9])
    monkeypatch.chdir(tmp_path)
    assert contents(open_hub("owner/name:validation", "train")) == expected(recordings[6:9])
    with pytest.raises(UserError, match="no split 'nope'; found: train"):
        open_hub("owner/name:nope", "train")


def test_lists_of_samples_beside_a_rate_as_in_mana_tts(recordings, tmp_path):
    wave, rate_hz = soundfile.read(io.BytesIO(recordings[0]["audio"]["bytes"]), dtype="float32")
    rows = [
        {"file name": "1.wav", "transcript": "سلام", "audio": wave.tolist(), "samplerate": float(rate_hz)},
        {"file name": "2.wav", "transcript": "no rate", "audio": wave.tolist(), "samplerate": None},
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "train.parquet")
    for source in (open_source(str(tmp_path)), open_hub(str(tmp_path), "train")):
        good, bad = source.rows()
        utterance = source.to_utterance(good)
        assert (utterance.id, utterance.text) == ("1", "سلام")
        assert isinstance(utterance.audio, Samples) and utterance.audio.rate_hz == rate_hz
        assert np.array_equal(utterance.audio.values, wave)
        with pytest.raises(UserError, match="Row 2 .*list of .*None.*samplerate"):
            source.to_utterance(bad)
    integers = put(tmp_path / "i.jsonl", json.dumps({"text": "a", "audio": [-32768, 0, 16384], "sr": 16000}))
    source = open_source(str(integers))
    assert source.to_utterance(next(iter(source.rows()))).audio.values.tolist() == [-1, 0, 0.5]


@pytest.mark.parametrize("separator", ["|", ",", "\t", ";"])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("third", ["speaker", "normalized_text", None])
def test_separators_and_headers_of_the_seed_layout(separator, header, third, recordings, tmp_path):
    put_audio(tmp_path / "wavs", recordings[:3])
    written = io.StringIO()
    table = csv.writer(written, delimiter=separator)  # quotes where it has to, as pandas does
    names = ["wav_path", "text", third] if third else ["wav_path", "text"]
    if header:
        table.writerow(names)
    texts = [f'He said{separator if separator in ",;" else " -"} "{row["text"]}" in 1999' for row in recordings[:3]]
    for row, text in zip(recordings, texts, strict=False):
        table.writerow(
            [row["id"], text, {"speaker": "ann", "normalized_text": f"spoken {text}", None: ""}[third]][: len(names)]
        )
    put(tmp_path / "metadata_train.csv", written.getvalue())
    source = open_source(str(tmp_path))
    utterances = [source.to_utterance(row) for row in source.rows()]
    assert [u.text for u in utterances] == [f"spoken {t}" if third == "normalized_text" else t for t in texts]
    assert {u.speaker for u in utterances} == {"ann" if third == "speaker" else None}
    assert open_source(str(tmp_path), split="validation") is None


@pytest.mark.parametrize(("third", "column"), [("yes twelve", "normalized_text"), ("Ann Lee", "speaker")])
def test_a_third_column_of_few_words_is_told_by_what_it_repeats(third, column, tmp_path):
    source = open_source(str(put(tmp_path / "a.csv", f"1.wav|Yes 12|{third}\n2.wav|Yes, 12 of them|{third}\n")))
    assert {row[column] for row in source.rows()} == {third}


def test_a_quotation_that_never_closes_costs_no_rows_where_quotes_are_letters(recordings, tmp_path):
    put_audio(tmp_path / "wavs", recordings[:3])
    put(tmp_path / "metadata.csv", "\n".join(f'{row["id"]}|"Open {row["text"]}' for row in recordings[:3]))
    source = open_source(str(tmp_path))
    assert [source.to_utterance(row).text[:6] for row in source.rows()] == ['"Open '] * 3


def test_one_file_a_pattern_and_an_absolute_path(recordings, tmp_path):
    put_audio(tmp_path / "elsewhere", recordings[:1])
    absolute = tmp_path / "elsewhere" / f"{recordings[0]['id']}.opus"
    one = put(tmp_path / "dev" / "test.csv", f"audio,text\n{absolute},one\n")
    assert contents(open_source(str(one)))[0][0] == "one"  # named by the user, so it is what they mean to train on
    assert open_source(str(one), split="validation") is None
    put(tmp_path / "dev" / "b.csv", f"audio,text\n../elsewhere/{recordings[0]['id']}.opus,two\n")
    texts = [text for text, _ in contents(open_source(str(tmp_path / "dev" / "*.csv")))]
    assert texts == ["two", "one"]


def test_named_columns_win(recordings, tmp_path):
    put_audio(tmp_path, recordings[:1])
    path = put(tmp_path / "a.csv", f"text,raw,who,wo\nwrong,right,bob,{recordings[0]['id']}.opus\n")
    source = open_source(str(path), columns=ColumnNames(text="raw", audio="wo", speaker="who"))
    utterance = source.to_utterance(next(iter(source.rows())))
    assert (utterance.text, utterance.speaker) == ("right", "bob")


def test_ids_without_an_id_column_are_stable_and_differ(recordings, tmp_path):
    rows = [{"text": row["text"], "audio": row["audio"]["bytes"]} for row in recordings[:4]]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    source = open_source(str(tmp_path / "a.parquet"))
    ids = [source.to_utterance(row).id for row in source.rows()]
    assert len(set(ids)) == 4 and ids == [source.to_utterance(row).id for row in source.rows()]


REFUSED = {
    "missing folder": (lambda folder: str(folder / "nowhere"), "nowhere does not exist"),
    "missing file": (lambda folder: str(folder / "a.csv"), "a.csv does not exist"),
    "pattern": (lambda folder: str(folder / "*.parquet"), "No file matches"),
    "empty folder": (lambda folder: str(folder), "no corpus of a known kind; expected one of\n  seed: "),
    "unknown ending": (lambda folder: str(put(folder / "a.xyz", "a")), "no corpus of a known kind"),
    "empty csv": (lambda folder: str(put(folder / "a.csv", "")), "holds no rows"),
    "only a header": (lambda folder: str(put(folder / "a.csv", "audio,text\n")), "holds no rows"),
    "empty jsonl": (lambda folder: str(put(folder / "a.jsonl", "\n")), "holds no rows"),
    "no text": (lambda folder: str(put(folder / "a.csv", "audio,words\nx,y\n")), "found: audio, words;.*--text-column"),
    "no audio": (lambda folder: str(put(folder / "a.csv", "text,where\nx,y\n")), "found: text, where;.*--audio-column"),
    "latin-1": (lambda folder: str(put(folder / "a.csv", "audio,text\na,né\n".encode("latin-1"))), "not UTF-8"),
    "utf-16": (lambda folder: str(put(folder / "a.jsonl", '{"text": 1}'.encode("utf-16"))), "not UTF-8"),
    "no json": (lambda folder: str(put(folder / "a.jsonl", "text\n")), "a.jsonl, line 1 is no JSON"),
    "no parquet": (lambda folder: str(put(folder / "a.parquet", "text")), "cannot be read as parquet"),
    "no tar": (lambda folder: str(put(folder / "a.tar", "text")), "cannot be read as a tar"),
    "only tests": (lambda folder: str(put(folder / "dev.jsonl", "{}").parent), "holds no training data"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_opened_is_one_clear_error(fault, tmp_path):
    make, message = REFUSED[fault]
    where = make(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        open_source(where)
    assert Path(where).name in str(caught.value)


def test_a_named_column_that_is_missing_says_what_there_is(tmp_path):
    path = put(tmp_path / "a.csv", "audio,text\nx,y\n")
    with pytest.raises(UserError, match=r"no column 'words' \(--text-column\); found: audio, text"):
        open_source(str(path), columns=ColumnNames(text="words"))


def test_a_hub_id_that_cannot_be_reached(monkeypatch):
    def unreachable(*args, **kwargs):
        raise ConnectionError("Couldn't reach it")

    monkeypatch.setattr(datasets, "load_dataset_builder", unreachable)
    with pytest.raises(UserError, match="neither a file or folder here .*Couldn't reach it.*--dataset-config"):
        open_source("mozilla-foundation/common_voice_17.0")


def test_broken_rows_come_one_by_one(recordings, tmp_path):
    good = recordings[0]["id"]
    put_audio(tmp_path / "wavs", recordings[:1])
    lines = [
        f"{good}|fine",
        "gone|no such recording",
        f"{good}|  ",
        f"{good}|too|many",
        f"{good}|fine again",
        "|no name",
    ]
    put(tmp_path / "metadata_train.csv", "\n".join(["file|text", *lines]))
    source = open_source(str(tmp_path))
    found = []
    for row in source.rows():
        try:
            found.append(source.to_utterance(row).text)
        except UserError as error:
            found.append(str(error))
    assert len(found) == 6 and (found[0], found[4]) == ("fine", "fine again")
    assert "gone" in found[1] and "does not exist" in found[1]
    assert f"Row {good}" in found[2] and "has no text" in found[2]
    assert "metadata_train.csv, line 5 has 3 columns; expected 2" in found[3]
    assert "has no audio" in found[5]


def test_broken_lines_of_jsonl_and_quoted_csv(recordings, tmp_path):
    put_audio(tmp_path, recordings[:1])
    name = f"{recordings[0]['id']}.opus"
    line = json.dumps({"file": name, "text": "fine"})
    jsonl = put(tmp_path / "a.jsonl", "\n".join([line, line[:-5], "[1]", line]))
    quoted = put(tmp_path / "a.csv", f'file,text\n{name},fine\n{name},"never closed\n{name},lost\n')
    for path, count, broken in ((jsonl, 4, [1, 2]), (quoted, 2, [1])):
        source = open_source(str(path))
        rows = list(source.rows())
        assert len(rows) == count
        for index, row in enumerate(rows):
            if index in broken:
                with pytest.raises(UserError, match=f"{path.name}, line .*expected"):
                    source.to_utterance(row)
            else:
                assert source.to_utterance(row).text == "fine"


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "../../secret.wav", "https://example.org/a.wav", "hf://datasets/../x"]
)
def test_a_corpus_of_others_leads_nowhere_else(path, tmp_path):
    put(tmp_path / "secret.wav", "x")
    document = json.dumps({"text": "a", "audio": path})
    tar = put_tar(tmp_path / "a" / "train.tar", {"1.json": document.encode()})
    put(tmp_path / "hub" / "train.jsonl", document)
    for source in (open_source(str(tar)), open_hub(str(tmp_path / "hub"), "train")):
        with pytest.raises(UserError, match="expected bytes"):
            source.to_utterance(next(iter(source.rows())))


def test_words_that_tell_splits():
    names = ["train-clean", "validation", "test", "other"]
    assert of_split(names, "train") == ["train-clean"] and of_split(names, "validation") == ["validation"]
    assert of_split(["data", "test"], "train") == ["data"] and of_split(["data", "test"], "validation") == ["test"]
    assert of_split(["/dev/a.csv"], "train", "/dev") == ["/dev/a.csv"]
    assert of_split(["retrained", "latest"], "validation") == []


def test_a_long_archive_takes_no_more_memory_than_a_short_one(tmp_path):
    """Of a million rows, tarfile's own list of members would be a gigabyte."""
    members = {f"{number:05}.{kind}": b"x" for number in range(2000) for kind in ("txt", "opus")}
    rows = tar_rows([str(put_tar(tmp_path / "long.tar", members))])
    tracemalloc.start()
    try:
        traced = [tracemalloc.get_traced_memory()[0] for _ in rows]
    finally:
        tracemalloc.stop()
    assert len(traced) == 2000
    assert traced[-1] - traced[500] < 100_000


def test_default_train_data(tmp_path, monkeypatch, recordings):
    where, why = default_train_data()
    assert "demo_corpus" in where and "no --train-data" in why
    source = open_source(where)
    assert source.to_utterance(next(iter(source.rows()))).text
    held = open_source(where, split="validation")
    assert held.to_utterance(next(iter(held.rows()))).id == recordings[0]["id"]
    monkeypatch.setattr(sources, "REPOSITORY", tmp_path / "goya")
    (tmp_path / "dataset" / "dataset_train").mkdir(parents=True)
    assert default_train_data()[0] == str(tmp_path / "dataset" / "dataset_train")
