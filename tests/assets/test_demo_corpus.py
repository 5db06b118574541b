"""The committed demo corpus is what its README promises. Offline; reads the files, builds nothing."""

import csv
import re
from io import BytesIO
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from assets.demo_corpus import speech_checks, transcripts

FOLDER = Path(__file__).parents[2] / "assets" / "demo_corpus"
LANGUAGES = ("en", "es", "fr")
TRAIN_FILES = [f"train-{language}.parquet" for language in LANGUAGES]
FILES = [*TRAIN_FILES, "heldout.parquet"]
COLUMNS = ["id", "text", "audio", "speaker", "language", "duration_s"]


def plain(text):
    """The text without case, spaces and punctuation."""
    return "".join(c for c in text.lower() if c.isalnum())


def read_rows(names, columns=None):
    return [row for name in names for row in pq.read_table(FOLDER / name, columns=columns).to_pylist()]


@pytest.fixture(scope="module")
def train():
    return read_rows(TRAIN_FILES)


@pytest.fixture(scope="module")
def held_out():
    return read_rows(["heldout.parquet"])


def test_all_files_together_are_at_most_12_mb():
    sizes = [path.stat().st_size for path in FOLDER.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(sizes) <= 12e6


@pytest.mark.parametrize("name", FILES)
def test_schema_has_the_audio_feature_and_small_row_groups(name):
    file = pq.ParquetFile(FOLDER / name)
    features = datasets.Features.from_arrow_schema(file.schema_arrow)
    assert list(features) == COLUMNS
    assert isinstance(features["audio"], datasets.Audio) and features["audio"].sampling_rate == 16000
    groups = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert max(groups) <= 100


@pytest.mark.parametrize("config", LANGUAGES)
def test_folder_streams_by_language_without_decoding(config):
    stream = datasets.load_dataset(str(FOLDER), config, split="train", streaming=True)
    row = next(iter(stream.cast_column("audio", datasets.Audio(decode=False))))
    assert row["language"] == config
    assert row["audio"]["bytes"][:4] == b"OggS" and row["audio"]["path"].endswith(".opus")


def test_folder_has_a_train_and_a_held_out_split(train, held_out):
    for split, rows in (("train", train), ("heldout", held_out)):
        stream = datasets.load_dataset(str(FOLDER), split=split, streaming=True)
        ids = [row["id"] for row in stream.select_columns(["id"])]
        assert sorted(ids) == sorted(row["id"] for row in rows)


def test_every_clip_decodes_to_its_duration_and_is_louder_than_silence(train, held_out):
    for row in train + held_out:
        wave, rate_hz = soundfile.read(BytesIO(row["audio"]["bytes"]), dtype="float32", always_2d=True)
        assert (rate_hz, wave.shape[1]) == (16000, 1), row["id"]
        assert len(wave) / rate_hz == pytest.approx(row["duration_s"], abs=1e-3), row["id"]
        assert 0.2 < row["duration_s"] <= 20.0, row["id"]
        frames = wave[: len(wave) // 320 * 320, 0].reshape(-1, 320)
        level_db = 20 * np.log10(np.sqrt((frames**2).mean(axis=1)) + 1e-6)
        assert np.percentile(level_db, 95) > -40, row["id"]
        assert np.ptp(level_db) > 15, f"{row['id']}: a steady tone or noise"


def test_ids_are_unique_and_speakers_belong_to_their_language(train, held_out):
    rows = train + held_out
    assert len({row["id"] for row in rows}) == len(rows)
    pairs = {(row["language"], row["speaker"]) for row in rows}
    assert pairs == {("en", "allison"), ("es", "allison"), ("fr", "june")}
    assert all(row["id"].startswith(f"{row['language']}/") for row in rows)


def test_texts_hold_only_what_is_said(train, held_out):
    for row in train + held_out:
        text = row["text"]
        assert plain(text), row["id"]
        assert text == re.sub(r"\s+", " ", text).strip(), row["id"]
        assert not re.search(r"[\[\](){}<>*#@|]", text), row["id"]
        assert not re.match(r"\W*(\.\.|…)", text), row["id"]
        assert "…" not in text and "�" not in text, row["id"]


def test_held_out_is_the_fixed_list(held_out):
    lines = (FOLDER / "heldout.txt").read_text(encoding="utf-8").splitlines()
    listed = sorted(tuple(line.split("\t")) for line in lines)
    assert listed == sorted((row["id"], row["language"], row["text"]) for row in held_out)
    counts = {language: sum(row["language"] == language for row in held_out) for language in LANGUAGES}
    assert counts == {"en": 40, "es": 20, "fr": 20}


def test_held_out_sentences_are_fit_to_measure_with(held_out):
    for row in held_out:
        assert len(row["text"].split()) >= 3, row["id"]
        assert not re.search(r"\d", row["text"]), row["id"]
        assert 1.2 <= row["duration_s"] <= 7.0, row["id"]
    for language in LANGUAGES:
        durations_s = [row["duration_s"] for row in held_out if row["language"] == language]
        assert min(durations_s) < 2.0 and max(durations_s) > 4.0, f"{language}: not spread"


def test_recognizer_understands_the_real_held_out_english(held_out):
    with (FOLDER / "english_asr.csv").open(newline="", encoding="utf-8") as file:
        heard = {row["id"]: row["heard"] for row in csv.DictReader(file)}
    for row in held_out:
        if row["language"] == "en":
            said = speech_checks.letters_said(row["text"], "en")
            assert speech_checks.error_rate(said, speech_checks.letters_said(heard[row["id"]], "en")) < 0.10, row["id"]


def test_no_held_out_id_text_or_sentence_in_train(train, held_out):
    assert not {row["id"] for row in train} & {row["id"] for row in held_out}
    for language in LANGUAGES:
        trained = {plain(row["text"]) for row in train if row["language"] == language}
        for row in held_out:
            if row["language"] == language:
                assert not any(plain(row["text"]) in text for text in trained), row["id"]


def test_dropped_rows_are_listed_with_a_reason_and_absent(train, held_out):
    with (FOLDER / "dropped.csv").open(newline="", encoding="utf-8") as file:
        dropped = list(csv.DictReader(file))
    assert list(dropped[0]) == ["id", "language", "reason", "text"]
    assert all(row["reason"] and row["language"] in LANGUAGES for row in dropped)
    # a name listed twice is dropped once and kept once
    gone = {row["id"] for row in dropped if row["reason"] != "name listed twice"}
    assert not gone & {row["id"] for row in train + held_out}
    assert any(row["text"] == "(10 seconds of silence)" for row in dropped)


def test_readme_counts_are_those_of_the_files(train, held_out):
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for split, rows in (("train", train), ("heldout", held_out)):
        cells = []
        for language in LANGUAGES:
            durations_s = [row["duration_s"] for row in rows if row["language"] == language]
            cells.append(f"{len(durations_s)} rows, {sum(durations_s) / 60:.1f} min")
        assert f"| {split} | " + " | ".join(cells) + " |" in readme


def test_license_and_attribution_are_beside_the_data():
    license = (FOLDER / "LICENSE").read_text(encoding="utf-8")
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert "License: CC-BY-SA-3.0" in license and "THE WORK (AS DEFINED BELOW)" in license
    for name in ("Allison Smith", "June Wallack", "Digium"):
        assert name in license and name in readme
    assert "CC-BY-SA-3.0" in readme


@pytest.mark.parametrize(
    ("listed", "kept"),
    [
        ("at [@]", "at"),
        ("space [ ]", "space"),
        ('IAX (note: does not say "2")', "IAX"),
        ("...to exit  the menu.", "to exit the menu."),
        ("... for ...", "for..."),
        ("Si c'est exact appuyer…", "Si c'est exact appuyer..."),
        ('Entrez votre code, suivi du dièse."', "Entrez votre code, suivi du dièse."),
        ("“Pour quitter, appuyez sur 8.”", "Pour quitter, appuyez sur 8."),
        ('a polite "don\'t call" menu', 'a polite "don\'t call" menu'),
    ],
)
def test_cleaning_keeps_what_is_said(listed, kept):
    assert transcripts.clean(listed, set())[0] == kept


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        ("", "no text"),
        ("(1 second of silence)", "note"),
        ("<beep decending>", "note"),
        ("Speak after the tone. (tone plays)", "brackets"),
        ("Sus saludos [temporales] estan en uso", "brackets"),
        ("press * to toggle pause", "symbol"),
        ("appuyez sur dièse.vm-review: Pour enlever", "run together"),
    ],
)
def test_cleaning_drops_what_cannot_be_used(listed, reason):
    with pytest.raises(transcripts.Dropped, match=reason):
        transcripts.clean(listed, {"vm-review"})
