"""The newcomer's path: what it is made of, and how its figures are told."""

import csv
import json
import shlex

import pytest

import synthesize
from benchmarks.quality import front_door
from data_pipeline.reading.sources import open_source
from testing import small_runs
from training.config.arguments import parse
from training.config.hardware import Hardware

CPU = Hardware("cpu", "CPU with 2 cores", 24, 2, True)


def test_the_spreadsheet_s_folder_is_read_as_it_is(tmp_path):
    rows = small_runs.rows()[:3]
    rows[1]["text"] = 'say "yes"; then wait'
    front_door.spreadsheet(tmp_path / "speech", rows)
    raw = (tmp_path / "speech" / "recordings.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbfFile;Sentence;Speaker\r\n")
    assert list(csv.reader(raw.decode("utf-8-sig").splitlines(), delimiter=";"))[2][1] == rows[1]["text"]
    source = open_source(str(tmp_path / "speech"))
    found = [source.to_utterance(row) for row in source.rows()]
    assert [one.text for one in found] == [row["text"] for row in rows] and {one.speaker for one in found} == {"Ann"}


def test_the_commands_are_ones_that_the_programs_take():
    train = shlex.split(front_door.TRAIN.format(train_main="train_main.py", minutes=0.5))
    config, _, _ = parse(train[train.index("train_main.py") + 1 :], CPU)
    assert config.checkpoint.dir == "runs/speech_tiny_experimental" and config.train.max_minutes == 0.5
    say = shlex.split(front_door.SAY.format(size="tiny"))
    assert synthesize.build_parser().parse_args(say[1:]).model == config.checkpoint.dir


@pytest.mark.parametrize(("said", "rate"), [("5.2 s, 23 rows a second.", 23), ("9.9 s, 1,204 rows a second.", 1204)])
def test_the_rate_is_read_from_what_the_check_says(said, rate):
    assert front_door.rows_a_second(f"120 rows read.\n120 recordings decoded. {said}\n") == rate


def test_what_was_not_measured_is_left_out_of_the_table():
    step = {"command": "goya-check --train-data speech", "seconds": 41.4, "said": ""}
    results = {"machine": "a computer", "date": "2026-11-26T00:00", "commit": "abc", "minutes": 0.5, "commands": [step]}
    results |= {"from": {}, "figures": {"minutes_to_voice": 1.25, "hangs": 0}}
    told = front_door.block(json.loads(json.dumps(results)))
    assert "| `goya-check --train-data speech` | 41 |" in told
    assert "training's 0.5 among them | 1.2 |" in told and "CER" not in told
