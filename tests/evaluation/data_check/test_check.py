"""The check of a corpus through the front door: what is dirty is found, what is clean is not."""

import base64
import csv
import io
import json
import re
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile
import torch

import train_main
from data_pipeline.batching.collate import Collator
from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.plan import PlannedBatch
from data_pipeline.reading.sources import open_source
from evaluation.data_check import survey as survey_module
from evaluation.data_check.alignment import score_alignment
from evaluation.data_check.findings import KINDS, findings, to_drop
from evaluation.data_check.rows import Row
from evaluation.data_check.survey import Survey, Surveyor
from inference.pretrained import load
from modeling.losses import alignment_of_each
from testing import small_runs
from testing.small_runs import train
from tests.data_pipeline.reading.test_sources import open_hub
from tests.evaluation.data_check import dirty_corpus
from training.config.arguments import parse
from training.config.hardware import Hardware
from training.setup.inputs import build_inputs

pytestmark = pytest.mark.slow

CPU = Hardware("cpu", "CPU with 2 cores", 24, 2, True)


def check(data: Path, out: Path, *more: str) -> int:
    arguments = ["--train-data", data, "--check-data", out, "--model-size", "debug", "--device", "cpu", *more]
    return train_main.main([str(argument) for argument in arguments])


def listed(path: Path) -> dict[str, str]:
    """Id -> reason."""
    with open(path, encoding="utf-8", newline="") as file:
        heading, *rows = csv.reader(file, delimiter="\t")
    assert heading == ["id", "reason"]
    return dict(rows)


def told_ids(page: str) -> dict[str, set[str]]:
    """Kind -> ids under its heading on the page."""
    by_title = {about.title: kind for kind, about in KINDS.items()}
    found = defaultdict(set)
    for title, section in re.findall(r"<h3>([^<]*) \(\d+\)</h3>(.*?)(?=<h3>|<h2>)", page, re.DOTALL):
        found[by_title[title]] = set(re.findall(r"<td class=id><bdi>([^<]*)</bdi>", section))
    return found


@pytest.fixture(scope="module")
def dirty(tmp_path_factory) -> tuple[Path, dict[str, set[str]]]:
    folder = tmp_path_factory.mktemp("dirty") / "corpus"
    return folder, dirty_corpus.write(folder)


@pytest.fixture(scope="module")
def checked(dirty, tmp_path_factory) -> Path:
    """The folder of the report."""
    out = tmp_path_factory.mktemp("report")
    assert check(dirty[0], out, "--language", "en") == 0
    return out


# What is found


def test_the_test_knows_every_kind(dirty):
    assert set(dirty[1]) == set(KINDS) - {"score"}  # which needs a trained model


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "score"])
def test_each_kind_of_dirt_is_found_and_nothing_else_is_taken_for_it(kind, dirty, checked):
    found = told_ids((checked / "index.html").read_text(encoding="utf-8"))
    assert found[kind] == dirty[1][kind]


def test_the_list_holds_what_is_to_be_left_out_with_the_reason(dirty, checked):
    wanted = set().union(*(ids for kind, ids in dirty[1].items() if KINDS[kind].drop))
    reasons = listed(checked / "exclude.tsv")
    assert set(reasons) == wanted
    assert reasons["wavs/clipped"].startswith("clipped: ")
    assert "is cut off: 5" in reasons["wavs/cut_off"]


def test_the_demo_corpus_is_clean_but_for_letters_that_are_spelled(demo_corpus, tmp_path):
    assert check(demo_corpus, tmp_path, "--set", "data.check_rows=150", "--seed", "3") == 0
    reasons = listed(tmp_path / "exclude.tsv")
    assert {id for id in reasons if not re.search(r"/spy-|/letters/", id)} == set()


def test_a_second_check_leaves_out_what_the_first_found(dirty, checked, tmp_path, capsys):
    assert check(dirty[0], tmp_path, "--language", "en", "--exclude-list", checked / "exclude.tsv") == 0
    assert listed(tmp_path / "exclude.tsv") == {}
    out = capsys.readouterr().out
    assert f"{len(listed(checked / 'exclude.tsv'))} ids are on the exclude list and were not looked at." in out
    assert "No row has to be left out" in out


# The page


class Links(HTMLParser):
    """Everything a page names to be fetched."""

    def __init__(self, page: str):
        super().__init__()
        self.found, self.sounds = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        links = [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action", "poster")]
        (self.sounds if tag == "audio" else self.found).extend(links)
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")


def test_the_page_needs_nothing_else_and_its_recordings_play(dirty, checked):
    page = (checked / "index.html").read_text(encoding="utf-8")
    links = Links(page)
    assert links.found == [] and not re.search(r"https?://|url\(|@import", page)
    assert len(links.sounds) >= 8
    for sound in links.sounds:
        kind, _, content = sound.partition(";base64,")
        wave, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(content)))
        assert kind == "data:audio/wav" and rate_hz == 16_000 and 0 < len(wave) <= 8 * rate_hz


def test_the_sound_beside_a_finding_is_its_own(dirty, checked):
    page = (checked / "index.html").read_text(encoding="utf-8")
    [content] = re.findall(r"<bdi>wavs/clipped</bdi>.*?base64,([^\"]*)\"", page)
    wave, _ = soundfile.read(io.BytesIO(base64.b64decode(content)))
    recorded, _ = soundfile.read(dirty[0] / "wavs" / "clipped.wav")
    assert np.abs(wave - recorded[: len(wave)]).max() < 1e-4


def test_what_a_row_says_is_no_html(tmp_path):
    rows = small_runs.rows()
    rows[0]["text"], rows[0]["id"] = "<script>alert(1)</script> \u16a0", "<img src=x>"
    put_parquet(tmp_path / "corpus" / "train.parquet", rows)
    assert check(tmp_path / "corpus", tmp_path / "out") == 0
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page and "&lt;img src=x&gt;" in page and Links(page).found == []


# The text


def put_parquet(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True)
    schema = pyarrow.parquet.read_schema(small_runs.corpus() / "train.parquet")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), path)
    return path.parent


def test_the_text_counts_rows_hours_speakers_and_languages(tmp_path, capsys):
    rows = small_runs.rows()
    for row in rows[:10]:
        row["speaker"], row["language"] = "june", "fr"
    corpus = put_parquet(tmp_path / "corpus" / "train.parquet", rows)
    assert check(corpus, tmp_path / "out") == 0
    out = capsys.readouterr().out

    def cells(name: str) -> list[str]:
        return re.search(rf"^{re.escape(name)} +(\d+) +([\d.]+) +([\d.]+)", out, re.MULTILINE).groups()

    for name, group in (("all", rows), ("speaker: june", rows[:10]), ("language: en (english)", rows[10:])):
        seconds = [row["duration_s"] for row in group]
        count, hours, length = cells(name)
        assert int(count) == len(group)
        assert float(hours) == pytest.approx(sum(seconds) / 3600, abs=0.006)
        assert float(length) == pytest.approx(np.median(seconds), abs=0.06)
    assert re.search(r"^length, s +[\d.]+ +[ ▁▂▃▄▅▆▇█]{30} +[\d.]+ +median", out, re.MULTILINE)


def test_without_librosa_it_says_what_installs_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(survey_module, "can_measure_pitch", lambda: False)
    assert check(small_runs.corpus(), tmp_path) == 0
    out = capsys.readouterr().out
    assert 'Pitch was not measured, for want of librosa: pip install -e ".[eval]"' in out
    assert "median pitch" not in out and "median pitch" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_recording_that_no_limit_lets_in_is_told_and_alone_it_is_an_error(tmp_path, capsys):
    (tmp_path / "wavs").mkdir()
    rate_hz = 8000
    noise = 0.1 * np.random.default_rng(0).normal(size=90 * rate_hz).astype(np.float32)
    soundfile.write(tmp_path / "wavs" / "lecture.wav", noise, rate_hz)
    (tmp_path / "metadata.csv").write_text("lecture|good morning to all of you\n")
    assert check(tmp_path, tmp_path / "out", "--language", "en", "--set", "data.val_fraction=0.5") == 2
    captured = capsys.readouterr()
    assert "Nothing looks wrong" not in captured.out and "lecture: longer than 20 s" in captured.out
    assert "No row is left to train on, of 1: 1 longer than 20 s" in captured.err


def test_a_corpus_that_is_too_small_for_a_voice_is_told(tmp_path, capsys):
    assert check(small_runs.corpus(), tmp_path) == 0
    assert "minutes of speech are too little for a voice that starts from nothing" in capsys.readouterr().out


def test_nothing_is_trained_and_the_report_goes_to_the_run_folder(tmp_path, capsys):
    arguments = ["--checkpoint-dir", str(tmp_path / "run"), "--model-size", "debug", "--device", "cpu", "--check-data"]
    assert train_main.main(["--train-data", str(small_runs.corpus()), *arguments]) == 0
    assert sorted(path.name for path in (tmp_path / "run").rglob("*")) == ["data_check", "exclude.tsv", "index.html"]


def test_a_folder_that_cannot_be_written_to_is_said_before_the_corpus_is_read(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert check(small_runs.corpus(), tmp_path / "file" / "out") == 2
    captured = capsys.readouterr()
    assert "cannot be written into" in captured.err and "rows read" not in captured.out


# Large and streamed corpora


def surveyor(data: Path, rows: int, seed: int = 1) -> Surveyor:
    config, _, _ = parse(["--train-data", str(data), "--model-size", "debug", "--seed", str(seed)], CPU)
    return Surveyor(build_inputs(config, 2, 0, 1), rows, seed)


def test_a_sample_is_decoded_and_said_to_be_one(tmp_path, capsys):
    assert check(small_runs.corpus(), tmp_path, "--set", "data.check_rows=7", "--seed", "5") == 0
    assert (
        "34 rows read. 7 recordings decoded, a sample drawn with seed 5 (data.check_rows)." in capsys.readouterr().out
    )


def test_the_sample_is_the_seed_s_and_no_other_row_is_decoded():
    def decoded(seed: int) -> set[tuple[str, int]]:
        survey = survey_module.whole_survey(surveyor(small_runs.corpus(), 7, seed))
        return {(row.split, row.index) for row in survey.rows if row.wave is not None}

    assert len(decoded(1)) == 7
    assert decoded(1) == decoded(1) != decoded(2)


def test_of_a_streamed_corpus_only_as_many_rows_are_read_as_are_decoded(tmp_path):
    rows = small_runs.rows()
    for number in range(3):
        name = f"train-{number}-of-3.parquet"
        put_parquet(tmp_path / f"{number}" / name, rows[10 * number : 10 * number + 10])
        (tmp_path / "hub").mkdir(exist_ok=True)
        (tmp_path / f"{number}" / name).rename(tmp_path / "hub" / name)
    one = surveyor(small_runs.corpus(), 12)
    source = open_hub(str(tmp_path / "hub"), "train")
    one = Surveyor(one.inputs, 12, 1)
    one.sources, one.is_streamed = {"train": source}, True
    survey = survey_module.whole_survey(one)
    assert len(survey.rows) == survey.decoded == 12 and not survey.whole
    assert all(row.wave is not None for row in survey.rows)
    heard = {row.id: utterance.id for row, utterance in one.again(survey.rows, "Again")}
    assert len(heard) == 12 and all(id == again for id, again in heard.items())


def test_a_row_that_shares_its_id_with_a_good_one_is_told_and_not_listed(tmp_path, capsys):
    rows = small_runs.rows()
    put_parquet(tmp_path / "corpus" / "train.parquet", [*rows, rows[3]])
    assert check(tmp_path / "corpus", tmp_path / "out") == 0
    assert listed(tmp_path / "out" / "exclude.tsv") == {}
    out = capsys.readouterr().out
    assert (
        "1 ids belong to a wrong row and to a good one, so that a list of ids cannot leave out the one alone: " in out
    )
    assert f"{rows[3]['id']}. Remove those rows" in out


# With a model


def test_with_a_model_the_alignment_is_scored_and_told(tmp_path, capsys):
    run, done = small_runs.trained_run()
    assert done.returncode == 0, done.stderr[-3000:]
    assert check(small_runs.corpus(), tmp_path, "--init-from", run) == 0
    out = capsys.readouterr().out
    assert re.search(r"^alignment loss, nats per step .* median [\d.]+$", out, re.MULTILINE)
    assert "Alignment was not scored" not in out


def test_each_row_gets_the_score_that_it_has_alone():
    """Not that of its neighbor in the batch, nor one that the padding changes."""
    run, _ = small_runs.trained_run()
    one = surveyor(small_runs.corpus(), 11)
    survey = survey_module.whole_survey(one)
    score_alignment(one, survey, str(run), "cpu")
    model, _ = load(str(run))
    scored = [row for row in survey.rows if row.score is not None]
    assert len(scored) == 11
    for row, utterance in one.again(scored[::3], "Again"):
        planned = PlannedBatch((utterance,), Cursor(), True, True, (0,))
        tensors = Collator(one.make).__getitems__(planned).tensors
        with torch.inference_mode():
            [alone] = alignment_of_each(model(**tensors), tensors, model.config.frames_per_step).tolist()
        assert row.score == pytest.approx(alone, rel=1e-3), row.id


def test_a_score_far_above_the_rest_is_found():
    scores = [*np.linspace(1.0, 1.4, 40), 4.0]
    rows = [Row("train", index, id=f"{index}", seconds=2.0, characters=30) for index in range(len(scores))]
    for row, score in zip(rows, scores, strict=True):
        row.score, row.audio_key = score, row.id.encode()
    survey = Survey(rows)
    found = findings(survey)["score"]
    assert [one.row.id for one in found] == ["40"] and "4.00 nats per step; the median is 1.2" in found[0].detail
    assert to_drop({"score": found}, survey)[0][0][0] == "40"


# Leaving rows out


def test_rows_on_the_list_are_not_trained_on_and_unknown_ids_are_told(tmp_path, capsys):
    source = open_source(str(small_runs.corpus()), split="validation")
    validation = [source.to_utterance(row).id for row in source.rows()]
    left_out = [row["id"] for row in small_runs.rows()[:5]]
    path = tmp_path / "exclude.txt"
    path.write_text("\n".join([*left_out, validation[0], "no/such", "nor/this\tfor a reason"]) + "\n", encoding="utf-8")
    assert train(tmp_path / "run", "--epochs", "1", "--exclude-list", str(path)) == 0
    rows = json.loads((tmp_path / "run" / "report.json").read_text())["rows"]
    assert rows["kept"] == 25 and rows["left_out"] == {"on the exclude list": 5} and rows["whole_epoch"]
    assert rows["not_in_corpus"] == ["no/such", "nor/this"]
    told = f"2 of the ids in {path} are in no row of the corpus: no/such, nor/this."
    assert capsys.readouterr().out.count(told) == 2  # as the run starts, and as it ends


def test_a_list_that_is_missing_or_empty_is_said(tmp_path, capsys):
    (tmp_path / "empty.txt").write_text("\n\n")
    for name, message in (("no.txt", "There is no exclude list"), ("empty.txt", "holds no id; expected one")):
        assert train(tmp_path / "run", "--exclude-list", str(tmp_path / name)) == 2
        assert message in capsys.readouterr().err


def test_a_list_with_nothing_but_its_heading_leaves_out_nothing(tmp_path):
    (tmp_path / "list.tsv").write_text("id\treason\n")
    assert train(tmp_path / "run", "--max-steps", "1", "--exclude-list", str(tmp_path / "list.tsv")) == 0


# At the start of every run


def test_a_run_begins_with_a_few_lines_on_its_data(tmp_path, capsys):
    rows = small_runs.rows()
    rows[0]["text"] += " \u16a0"
    corpus = put_parquet(tmp_path / "corpus" / "train.parquet", [*rows, rows[3] | {"id": "again"}])
    arguments = ["--max-steps", "1", "--train-data", str(corpus), "--val-data", str(small_runs.corpus())]
    assert train(tmp_path / "run", *arguments) == 0
    out = capsys.readouterr().out
    assert re.search(r"^Data: \d+ rows, [\d.]+ hours to use, speakers: \d, languages: en, es, fr\.", out, re.MULTILINE)
    [wrong] = re.findall(r"^Looks wrong: (.*)$", out, re.MULTILINE)
    assert "recording and text are there before: 1" in wrong and "characters that the vocabulary has not: 1" in wrong
    [command] = re.findall(r"^The whole check: python (.*)$", out, re.MULTILINE)
    assert f"--train-data {corpus}" in command and f"--val-data {small_runs.corpus()}" in command
    assert command.endswith("--check-data") and out.index("The whole check") < out.index("step 1 ")


def test_the_lines_at_the_start_stop_reading_when_their_time_is_over(monkeypatch):
    one, survey = surveyor(small_runs.corpus(), 40), Survey()
    ticks = iter(range(100))
    monkeypatch.setattr(survey_module.time, "monotonic", lambda: float(next(ticks)))
    one.look(survey, deadline=9.5)
    assert len(survey.rows) < 30 and not survey.whole
