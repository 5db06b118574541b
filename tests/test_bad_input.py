"""A user's mistake: exit code 2 and one message that says what, where, what was expected and what to do."""

import importlib.util
import json
import math
import re
import shutil
from pathlib import Path

import pytest
import soundfile

import train_main
from data_pipeline.recordings.audio import decode_audio
from testing import small_runs
from testing.small_runs import SMALL, launch, losses

pytestmark = pytest.mark.slow


@pytest.fixture
def table(tmp_path):
    """A function that writes a folder of metadata_train.csv and wavs/ and gives its path."""

    def write(rows: list[str], header: str = "file|text", wavs: int = 12) -> Path:
        folder = tmp_path / "corpus"
        (folder / "wavs").mkdir(parents=True)
        for number, row in enumerate(small_runs.rows()[:wavs]):
            soundfile.write(folder / "wavs" / f"{number}.wav", decode_audio(row["audio"]["bytes"], 22_050), 22_050)
        (folder / "metadata_train.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return folder

    return write


def texts(count: int) -> list[str]:
    return [f"{number}.wav|{row['text']}" for number, row in enumerate(small_runs.rows()[:count])]


def fails(capsys, *arguments, message: str) -> str:
    """Runs train_main in this process; what it said, which has to hold `message` (a pattern)."""
    small_runs.forget_accelerator()
    code = train_main.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert code == 2 and "Traceback" not in captured.out + captured.err
    error = captured.err[captured.err.index("error: ") :]
    assert captured.err.count("error: ") == 1
    assert re.search(message, error, re.DOTALL), error
    return error


def on(folder, tmp_path, *more: str) -> list[str]:
    val = ["--val-data", small_runs.corpus()]
    return ["--train-data", folder, *val, "--checkpoint-dir", tmp_path / "run", *SMALL, "--max-steps", "3", *more]


# Of flags and values: nothing is built

VALUES = {
    "unknown flag": (["--batchsize", "4"], r"no flag --batchsize. Did you mean --batch-size"),
    "unknown level": (["--optimization-level", "fast"], r"train.level is 'fast' .*one of basic, enhanced"),
    "unknown size": (["--model-size", "huge"], r"model.size is 'huge' .*one of debug, tiny, small, normal, big"),
    "unknown key": (["--set", "optim.learning_rate=1"], r"no setting 'optim.learning_rate'"),
    "misspelled key": (["--set", "loss.kl_wieght=1"], r"Did you mean loss.kl_weight"),
    "rate out of range": (["--lr", "-1"], r"optim.lr is -1 \(flag --lr\).*out of range; expected above 0"),
    "rate no number": (["--lr", "fast"], r"optim.lr is 'fast' \(flag --lr\); expected a number"),
    "rate not finite": (["--lr", "nan"], r"optim.lr is 'nan'"),
    "batch of nothing": (["--batch-size", "0"], r"train.batch_size is 0 .*expected at least 1"),
    "lengths crossed": (["--set", "data.min_duration_s=9", "--set", "data.max_duration_s=3"], r"leaves no utterance"),
    "frames too few": (["--max-batch-frames", "100"], r"longest utterance let in has 1723 frames"),
    "fp16 on a CPU": (["--device", "cpu", "--mixed-precision", "fp16"], r"silently train in fp32; expected bf16 or no"),
    "no config file": (["--config", "no.yaml"], r"no config file no.yaml"),
    "a flag without a value": (["--lr"], r"--lr"),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_wrong_value(name, capsys):
    arguments, message = VALUES[name]
    fails(capsys, "--train-data", small_runs.corpus(), *arguments, message=message)


def test_no_gpu(capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    fails(capsys, "--device", "cuda", message=r"A GPU was asked for .*torch finds none.*leave out --device")


def test_no_tracker(tmp_path, capsys, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "trackio" else there(name))
    arguments = on(small_runs.corpus(), tmp_path, "--tracker", "trackio")
    fails(capsys, *arguments, message="The tracker trackio is not installed")
    assert not (tmp_path / "run").exists()


# Of places and files


def test_a_folder_that_is_missing(tmp_path, capsys):
    missing = tmp_path / "nowhere"
    fails(capsys, *on(missing, tmp_path), message=rf"{missing} does not exist.*expected a folder, a file")


def test_a_folder_without_a_corpus(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    fails(capsys, *on(tmp_path / "empty", tmp_path), message="holds no corpus of a known kind; expected one of")


@pytest.mark.parametrize("content", ["", "file|text\n"])
def test_an_empty_table(tmp_path, capsys, content):
    (tmp_path / "empty.csv").write_text(content)
    message = r"empty.csv \(csv\) holds no rows; expected a transcript"
    fails(capsys, *on(tmp_path / "empty.csv", tmp_path), message=message)


def test_a_missing_column(table, tmp_path, capsys):
    folder = table(texts(4), header="file|words")
    message = "no column .* hold the text; found: file, words; .*Name it with --text-column"
    fails(capsys, *on(folder, tmp_path), message=message)
    message = r"no column 'said' \(--text-column\); found: file"
    fails(capsys, *on(folder, tmp_path, "--text-column", "said"), message=message)


def test_a_table_that_is_not_utf8(table, tmp_path, capsys):
    folder = table([])
    (folder / "metadata_train.csv").write_bytes("file|text\n0.wav|niño\n".encode("latin-1"))
    fails(capsys, *on(folder, tmp_path), message="metadata_train.csv is not UTF-8 .*iconv")


def test_a_resume_from_nowhere(tmp_path, capsys):
    arguments = on(small_runs.corpus(), tmp_path, "--resume", tmp_path / "no")
    fails(capsys, *arguments, message="is not a checkpoint of a run")


# Of rows


def test_too_many_missing_files_stop_the_run_with_their_list(table, tmp_path, capsys):
    folder = table([*texts(12), "98.wav|gone", "99.wav|gone too"])
    message = r"2 of 14 rows are broken, more than 10% \(data.max_broken_share\)"
    error = fails(capsys, *on(folder, tmp_path), message=message)
    assert "98.wav does not exist" in error and "99.wav does not exist" in error


def test_too_many_broken_recordings_are_found_while_decoding(table, tmp_path, capsys):
    folder = table(texts(12))
    for number in (3, 4):
        path = folder / "wavs" / f"{number}.wav"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    error = fails(capsys, *on(folder, tmp_path, "--num-workers", "1"), message="2 of 12 rows are broken")
    assert "3.wav" in error and "4.wav" in error and error.count("is cut off") == 2


def test_every_row_broken(table, tmp_path, capsys):
    rows = [f"{number}.wav|gone" for number in range(50, 53)]
    fails(capsys, *on(table(rows), tmp_path), message=r"of 3 rows: 3 broken, such as: .*5\d.wav does not exist.*row\.$")


def test_every_text_empty_after_cleaning(table, tmp_path, capsys):
    folder = table([f"{number}.wav|..." for number in range(6)], wavs=6)
    fails(capsys, *on(folder, tmp_path), message="6 of 6 rows are broken.*holds nothing to speak.*Correct it or remove")


def test_every_recording_too_long(table, tmp_path, capsys):
    arguments = on(table(texts(12)), tmp_path, "--set", "data.max_duration_s=0.5")
    fails(capsys, *arguments, message="No utterance is left to use, of 12 rows: 12 longer than 0.5 s")


def test_a_validation_set_without_usable_rows(table, tmp_path, capsys):
    arguments = ["--val-data", table(["50.wav|gone", "51.wav|gone"]), "--set", "log.samples=0"]
    message = "validation data holds no usable utterance.*50.wav"
    fails(capsys, *on(small_runs.corpus(), tmp_path, *arguments), message=message)


def test_a_few_broken_rows_are_skipped_counted_and_listed(tmp_path, table, capsys):
    folder = table([*texts(24), "99.wav|gone", "0.wav|..."], wavs=24)
    path = folder / "wavs" / "5.wav"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    small_runs.forget_accelerator()
    more = ["--set", "data.max_broken_share=0.2", "--set", "train.max_steps=none"]
    arguments = on(folder, tmp_path, "--epochs", "2", *more)
    assert train_main.main([str(argument) for argument in arguments]) == 0
    out = capsys.readouterr().out
    assert "3 broken rows were skipped" in out
    for found in ("99.wav does not exist", "nothing to speak", "is cut off"):
        assert out.count(found) == 1
    rows = json.loads((tmp_path / "run" / "report.json").read_text())["rows"]
    assert len(rows["broken"]) == rows["broken_rows"] == 3 and rows["left_out"] == {}
    assert rows["kept"] == 23 and rows["whole_epoch"]  # of one epoch of two


@pytest.mark.parametrize("num_workers", ["0", "1"])
def test_recordings_with_nan_or_infinity_are_skipped_and_listed(num_workers, table, tmp_path, capsys):
    folder = table(texts(24), wavs=24)
    for number, value in ((3, float("nan")), (7, float("inf"))):
        path = folder / "wavs" / f"{number}.wav"
        wave, rate_hz = soundfile.read(path)
        wave[1000:1002] = value
        soundfile.write(path, wave, rate_hz, subtype="FLOAT")
    small_runs.forget_accelerator()
    more = ["--num-workers", num_workers, "--epochs", "1", "--set", "train.max_steps=none"]
    assert train_main.main([str(argument) for argument in on(folder, tmp_path, *more)]) == 0
    out = capsys.readouterr().out
    assert "2 broken rows were skipped" in out
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["rows"]["kept"] == 22 and report["rows"]["broken_rows"] == 2
    for number in (3, 7):
        assert f"{number}.wav" in report["rows"]["broken"][str(number)]
        assert "2 samples that are NaN or infinite" in report["rows"]["broken"][str(number)]
    assert all(math.isfinite(value) for curve in losses(tmp_path / "run").values() for value in curve.values())


# In a process of its own


@pytest.mark.parametrize(("arguments", "message"), [
    (["--train-data", "nowhere/at/all"], "error: nowhere/at/all does not exist (looked for "),
    (["--optimization-level", "fast"], "error: train.level is 'fast' (flag --optimization-level); expected one of"),
], ids=["missing folder", "unknown level"])  # fmt: skip
def test_the_shell_sees_exit_code_2_and_one_message(arguments, message):
    done = launch(small_runs.ROOT / "train_main.py", *arguments)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stdout + done.stderr


def test_a_run_that_failed_does_not_hinder_the_next(tmp_path, capsys, table):
    folder = table(texts(12))
    fails(capsys, *on(folder, tmp_path, "--set", "data.max_duration_s=0.5"), message="No utterance is left")
    shutil.rmtree(folder)
    small_runs.forget_accelerator()
    assert train_main.main([str(one) for one in on(small_runs.corpus(), tmp_path)]) == 0


def test_balance_of_a_corpus_of_one_speaker(table, tmp_path, capsys):
    folder = table(texts(3))
    message = r"data.speaker_balance is for corpora of several speakers, and .*corpus names 0\. Leave it out, or name"
    fails(capsys, *on(folder, tmp_path, "--set", "data.speaker_balance=1"), message=message)


def test_balance_of_speakers_who_are_named(table, tmp_path, capsys):
    """Nine rows of one and two of another: a mean of 5.5, so that each epoch has about 5.5 and the two."""
    rows = [f"{row}|{'many' if number < 9 else 'few'}" for number, row in enumerate(texts(11))]
    folder = table(rows, header="file|text|speaker")
    small_runs.forget_accelerator()
    balanced = ["--set", "data.speaker_balance=1", "--set", "train.epochs=6", "--max-steps", "100"]
    assert train_main.main([str(argument) for argument in on(folder, tmp_path, *balanced)]) == 0
    rows = json.loads((tmp_path / "run" / "report.json").read_text())["rows"]
    [(reason, left)] = rows["left_out"].items()
    assert "speaker_balance" in reason and left + rows["kept"] == 11 and 0 < left < 9
