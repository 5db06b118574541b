"""Names that no file can have, or nobody's home folder, wherever a path is given: one message, as of a missing file."""

import pytest

import listen
import synthesize
import train_main
from testing import small_runs
from training import export
from training.setup.caches import ensure_caches

NAMES = {"too long": "x" * 5000, "a part too long": "x" * 300 + "/y", "nobody's home": "~nobody-of-this-name/x"}
TRAINS = ("--train-data", "--val-data", "--exclude-list", "--init-from", "--resume", "--config", "--checkpoint-dir")
SPEAKS = ("model", "--reference", "--vocoder", "--out", "--picture", "--text-file")


def told(capsys, program, words: list[str], name: str) -> None:
    assert program(words) == 2
    error = capsys.readouterr().err
    assert error.count("error: ") == 1 and error.count("Traceback") == 0
    assert name[:100] in error and len(error) < 3000


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flag", TRAINS)
def test_of_training(flag, name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if flag == "--checkpoint-dir" and name == "nobody's home":
        pytest.skip("a folder of that name can be made")
    small_runs.forget_accelerator()
    given = {"--train-data": str(small_runs.corpus()), "--checkpoint-dir": "run"} | {flag: NAMES[name]}
    told(capsys, train_main.main, [word for pair in given.items() for word in pair] + [*small_runs.SMALL], NAMES[name])


@pytest.mark.parametrize("name", ["too long", "a part too long"])
@pytest.mark.parametrize("other", [["--init-from", "nowhere"], ["--reset-training"], ["--debug"]])
def test_of_a_run_folder_beside_other_flags(other, name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_runs.forget_accelerator()
    words = ["--train-data", str(small_runs.corpus()), "--checkpoint-dir", NAMES[name], *small_runs.SMALL, *other]
    told(capsys, train_main.main, words, other[-1] if other[-1] == "nowhere" else NAMES[name])


def test_of_the_run_folder_that_is_named_after_a_model(capsys, tmp_path, monkeypatch):
    """runs/CORPUS_from_MODEL, where no folder can be called so, is not what the user has to put right."""
    monkeypatch.chdir(tmp_path)
    small_runs.forget_accelerator()
    words = ["--train-data", str(small_runs.corpus()), *small_runs.SMALL, "--init-from", "x" * 250]
    told(capsys, train_main.main, words, "x" * 250)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("flag", SPEAKS)
def test_of_speaking(flag, name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, _ = small_runs.trained_run()
    if flag == "model":
        words = [NAMES[name], "--text", "Hello."]
    else:
        words = [str(run), flag, NAMES[name]] + (["--text", "Hello."] if flag != "--text-file" else [])
    told(capsys, synthesize.main, words, NAMES[name])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("variable", ["HF_HOME", "XDG_CACHE_HOME", "HF_DATASETS_CACHE"])
def test_of_caches(variable, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for one in ("HF_HOME", "HF_DATASETS_CACHE", "HF_MODULES_CACHE"):
        monkeypatch.delenv(one, raising=False)
    monkeypatch.setenv(variable, NAMES[name])
    ensure_caches()


@pytest.mark.parametrize("name", NAMES)
def test_of_exporting(name, capsys, tmp_path):
    told(capsys, export.main, [NAMES[name], str(tmp_path / "out")], NAMES[name])


@pytest.mark.parametrize("name", NAMES)
def test_of_listening(name, capsys):
    told(capsys, listen.main, [NAMES[name], "--port", "7999"], NAMES[name])
