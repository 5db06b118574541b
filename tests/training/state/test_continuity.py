"""A run that goes on under other settings, or with other rows: what is heard, what is said, what is refused."""

import json
from collections import Counter
from pathlib import Path
from unittest import mock

import pyarrow.parquet
import pytest

import train_main
from testing import blows, small_runs
from testing.small_runs import assert_equal_ends, newest, scalars
from training.loop.trainer import Trainer
from training.state.checksums import seal

pytestmark = pytest.mark.slow

ALL = Counter(row["id"] for row in small_runs.rows())


@pytest.fixture
def corpus(tmp_path) -> Path:
    """A copy of the small corpus, for a test that changes it."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "validation.parquet").write_bytes((small_runs.corpus() / "validation.parquet").read_bytes())
    keep(folder, small_runs.rows())
    return folder


def keep(folder: Path, rows: list[dict]) -> None:
    schema = pyarrow.parquet.read_schema(small_runs.corpus() / "train.parquet")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), folder / "train.parquet")


class Heard:
    """Runs on a corpus in one run folder, with the ids of every step's rows."""

    def __init__(self, run: Path, corpus: Path):
        self.run, self.corpus = run, corpus
        self.steps: list[list[str]] = []

    def train(self, *arguments: str, stop: int | None = None) -> int:
        """The exit code; `stop`: SIGTERM at the end of this step."""
        advance = Trainer._advance

        def noted(trainer, batches):
            self.steps.append([name for batch in batches for name in batch.ids])
            advance(trainer, batches)

        blow = [blows.ToldToStop(stop)] if stop else []
        small_runs.forget_accelerator()
        with mock.patch.object(Trainer, "_advance", noted):
            data = ["--train-data", str(self.corpus), "--checkpoint-dir", str(self.run)]
            rarely = ["--set", "checkpoint.every_steps=100"]
            return train_main.main([*data, *small_runs.SMALL, *rarely, *arguments], callbacks=blow)

    @property
    def rows(self) -> Counter:
        return Counter(name for step in self.steps for name in step)


@pytest.fixture
def heard(tmp_path, corpus) -> Heard:
    return Heard(tmp_path / "run", corpus)


CHANGES = {
    "larger batches": "--batch-size 8",
    "smaller batches": "--batch-size 1",
    "accumulation": "--grad-accum 1",
    "frames in a batch": "--max-batch-frames 300 --set data.max_duration_s=3",
    "seed": "--seed 5",
    "pool": "--set data.pool_batches=2",
    "shuffle buffer": "--set data.shuffle_buffer=3",
    "curriculum": "--set train.length_curriculum=true",
    "loading processes": "--num-workers 1",
    "rate": "--lr 1e-4",
    "column of the speaker": "--speaker-column language",
    "stopping and average": "--set train.early_stopping=true --set train.ema_decay=0.9",
}


@pytest.mark.parametrize("name", CHANGES)
def test_under_other_settings_the_epoch_goes_on_with_every_row_once(heard, capsys, name):
    assert heard.train("--epochs", "1", stop=2) == 143
    capsys.readouterr()
    assert heard.train("--epochs", "1", *CHANGES[name].split(), stop=3) == 143
    key = {"--batch-size": "train.batch_size: 4 -> ", "--lr": "optim.lr: "}.get(CHANGES[name].split()[0], " -> ")
    out = capsys.readouterr().out
    assert "Since the checkpoint of step 2, used as now:" in out and key in out
    assert heard.train("--epochs", "1", *CHANGES[name].split()) == 0  # in the midst of the rest, too
    assert heard.rows == ALL


@pytest.mark.parametrize(("length", "stops"), [("--epochs 2", (2, 5)), ("--max-steps 3", (1, 2)), ("--epochs 1", (4,))])
def test_the_report_counts_rows_as_if_the_run_had_not_been_stopped(tmp_path, corpus, length, stops):
    rows = small_runs.rows()
    rows[2]["audio"]["bytes"] = b"no recording"  # which its header tells
    rows[7]["text"] = rows[21]["text"] = "..."  # which only decoding tells
    rows[11]["text"] = "a" * 500
    keep(corpus, rows)
    (tmp_path / "list.txt").write_text(rows[5]["id"] + "\n")
    more = [*length.split(), "--exclude-list", str(tmp_path / "list.txt"), "--set", "data.max_broken_share=0.5"]
    whole, parts = Heard(tmp_path / "whole", corpus), Heard(tmp_path / "parts", corpus)
    assert whole.train(*more) == 0
    assert [parts.train(*more, stop=stop) for stop in stops] == [143] * len(stops) and parts.train(*more) == 0
    found, expected = (json.loads((one.run / "report.json").read_text())["rows"] for one in (parts, whole))
    assert found == expected
    if length == "--epochs 2":
        assert (found["whole_epoch"], found["kept"], found["broken_rows"]) == (True, 25, 3)
        assert found["left_out"].keys() == {"on the exclude list", "text longer than 400 characters"}


def test_rows_that_went_or_came_are_left_out_or_heard_and_none_twice(heard, corpus, capsys):
    rows = small_runs.rows()
    keep(corpus, rows[:26])
    assert heard.train("--epochs", "1", stop=2) == 143
    begun = heard.rows
    keep(corpus, [*rows[26:], *rows[3:26]])  # without three, with four more in front
    capsys.readouterr()
    assert heard.train("--epochs", "1", stop=3) == 143
    out = capsys.readouterr().out
    assert "rows of the corpus were added, removed or changed" in out
    assert f"The {begun.total()} rows that epoch 1 has trained on are not repeated" in out
    keep(corpus, rows)
    assert heard.train("--epochs", "1") == 0
    assert heard.rows == ALL


def test_an_exclude_list_and_limits_that_changed_hold_for_the_rest(heard, tmp_path):
    assert heard.train("--epochs", "1", stop=2) == 143
    begun = set(heard.rows)
    left = sorted(ALL.keys() - begun)
    (tmp_path / "list.txt").write_text("\n".join([left[0], left[3], min(begun)]) + "\n")
    more = ["--exclude-list", str(tmp_path / "list.txt"), "--set", "data.max_duration_s=1.8"]
    assert heard.train("--epochs", "1", *more) == 0
    short = {row["id"] for row in small_runs.rows() if row["duration_s"] <= 1.8}
    assert heard.rows == Counter(begun | (set(left[1:3] + left[4:]) & short))


@pytest.mark.parametrize("first_rows", [256, 0])
def test_recordings_that_are_gone_move_no_other_row(tmp_path, capsys, monkeypatch, first_rows):
    """The table that names them is as it was: those of first rows are missed at once, others by the batches."""
    monkeypatch.setattr("data_pipeline.reading.fingerprint.FIRST_ROWS", first_rows)
    folder = tmp_path / "corpus"
    (folder / "wavs").mkdir(parents=True)
    lines = []
    for row in small_runs.rows():
        name = row["id"].replace("/", "_")
        (folder / "wavs" / f"{name}.wav").write_bytes(row["audio"]["bytes"])
        lines.append(f"{name}|{row['text']}")
    (folder / "metadata_train.csv").write_text("\n".join(lines) + "\n")
    (folder / "metadata_eval.csv").write_text("\n".join(lines[:4]) + "\n")
    heard = Heard(tmp_path / "run", folder)
    assert heard.train("--epochs", "1", "--language", "en", stop=2) == 143
    every = Counter(line.partition("|")[0] for line in lines)
    gone = [sorted(heard.rows)[0], sorted(every.keys() - heard.rows.keys())[0]]
    for name in gone:
        (folder / "wavs" / f"{name}.wav").unlink()
    assert heard.train("--epochs", "1", "--language", "en") == 0
    said = "rows of the corpus were added, removed or changed" if first_rows else "The corpus is not what it was."
    assert said in capsys.readouterr().out
    assert heard.rows == every - Counter(gone[1:])


def test_a_rest_that_is_nothing_is_followed_by_the_next_epoch(heard, tmp_path):
    """Batches as large as what is left, and then a rest that is excluded: never a loop without a step."""
    assert heard.train("--max-steps", "4", "--batch-size", "1", "--grad-accum", "7") == 0
    begun = heard.rows
    (tmp_path / "list.txt").write_text("\n".join(ALL.keys() - begun.keys()) + "\n")
    more = ["--batch-size", "16", "--max-steps", "6", "--exclude-list", str(tmp_path / "list.txt")]
    assert heard.train(*more) == 0
    assert len(heard.steps) == 6 and heard.steps[4] and heard.rows.keys() == begun.keys()
    (tmp_path / "list.txt").write_text("\n".join(ALL) + "\n")
    assert heard.train(*more, "--max-steps", "8") == 2


def test_a_rate_by_hand_is_used_and_a_halved_one_stays_halved(heard, capsys):
    constant = ["--set", "optim.schedule=constant", "--set", "optim.warmup_steps=0"]
    assert heard.train("--lr", "1e-3", "--max-steps", "2", *constant) == 0
    assert heard.train("--lr", "1e-4", "--max-steps", "3", *constant, "--set", "optim.weight_decay=0.5") == 0
    rates = scalars(heard.run)["learning_rate"]
    assert (rates[2], rates[3]) == (pytest.approx(1e-3), pytest.approx(1e-4))
    groups = json.loads((newest(heard.run) / "optimizer.json").read_text())["groups"]
    assert [group["weight_decay"] for group in groups] == [0.5, 0.0]
    assert "optim.lr: 0.001 -> 0.0001 (flag --lr)" in capsys.readouterr().out


def test_another_run_is_refused_with_the_ways_out(heard, corpus, tmp_path, capsys):
    assert heard.train("--max-steps", "1") == 0
    changed = [row | {"text": f"Another text, {number}."} for number, row in enumerate(small_runs.rows())]
    keep(corpus, changed)
    state = (newest(heard.run) / "training_state.json").read_text()
    assert heard.train("--max-steps", "2") == 2
    said = capsys.readouterr().err
    assert "was trained on another corpus" in said
    assert "--reset-training" in said and "another --checkpoint-dir" in said and "--init-from" in said
    assert (newest(heard.run) / "training_state.json").read_text() == state
    keep(corpus, small_runs.rows())
    assert heard.train("--max-steps", "2", "--set", "data.val_fraction=0.5") == 2
    assert "was trained with data.val_fraction=0.02" in capsys.readouterr().err


LATER = {
    "data": ("reference_s", "recorded_share"),
    "loss": ("adaptive_bounds", "adaptive_temperature", "adaptive_every_steps"),
    "optim": ("warmup_share", "period_growth"),
    "train": ("spike_factor", "spike_settle_steps", "spike_patience", "spike_window", "max_roll_backs")
    + ("roll_back_rate", "curriculum_rows"),
    "log": ("quality_share",),
}


def test_a_checkpoint_of_before_a_setting_goes_on_bit_equal_and_unchanged(heard, tmp_path, corpus, capsys):
    enhanced = ["--epochs", "1", "--optimization-level", "experimental"]
    whole = Heard(tmp_path / "whole", corpus)
    assert whole.train(*enhanced) == 0
    assert heard.train(*enhanced, stop=2) == 143
    state = newest(heard.run) / "training_state.json"
    saved = json.loads(state.read_text())
    for group, names in LATER.items():
        for name in names:
            del saved["config"][group][name]
    state.write_text(json.dumps(saved))
    seal(newest(heard.run))
    capsys.readouterr()
    assert heard.train(*enhanced) == 0
    assert "Since the checkpoint" not in capsys.readouterr().out
    assert heard.steps == whole.steps
    assert_equal_ends(heard.run, whole.run)


def test_a_checkpoint_of_an_earlier_version_goes_on(heard, capsys):
    assert heard.train("--epochs", "1", stop=2) == 143
    state = newest(heard.run) / "training_state.json"
    saved = json.loads(state.read_text())
    del saved["taken"], saved["of_run"]
    saved["length"] = {name: saved["length"][name] for name in ("elapsed_s", "steps_per_epoch")}
    state.write_text(json.dumps(saved))
    seal(newest(heard.run))
    assert heard.train("--epochs", "1") == 0
    assert heard.rows == ALL
