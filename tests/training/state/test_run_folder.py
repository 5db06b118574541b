"""What is moved aside or replaced is a run's own, and one process at a time trains in a folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate import Accelerator

import train_main
from data_pipeline.errors import UserError
from hub.folders import clear
from testing import small_runs
from testing.small_runs import newest, train
from training.config.fields import CheckpointConfig, RunConfig
from training.state.run_folder import LOCK, MARKER, RunFolder, write_anew

pytestmark = pytest.mark.slow

HOLDS = """
import fcntl, sys
file = open(sys.argv[1], "a+")
fcntl.lockf(file, fcntl.LOCK_EX)
file.truncate(0); file.write("4711"); file.flush()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def run(tmp_path) -> Path:
    """A run of one step, whose end is its checkpoint."""
    assert train(tmp_path / "run", "--max-steps", "1") == 0
    return tmp_path / "run"


def test_a_second_run_in_the_folder_is_refused_until_the_first_is_gone(run, capsys):
    command = [sys.executable, "-c", HOLDS, str(run / "run.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout.readline() == "held\n"
        assert train(run, "--max-steps", "2") == 2
        assert f"Another process trains in {run} (process 4711)." in capsys.readouterr().err
        assert train(run, "--max-steps", "2", "--reset-training") == 2
        first.kill()
    assert train(run, "--max-steps", "2") == 0
    assert newest(run).name == "step-00000002"


def test_a_folder_that_is_no_run_s_is_neither_moved_nor_replaced(tmp_path, capsys):
    for name in ("hub", "best"):
        folder = tmp_path / name
        (folder / name).mkdir(parents=True)
        (folder / name / "mine.txt").write_text("mine")
        (folder / "notes.txt").write_text("mine")
        assert train(folder, "--max-steps", "1") == 2
        assert f"holds {name}, which no run of Goya made" in capsys.readouterr().err
        assert train(folder, "--max-steps", "1", "--reset-training") == 2
        assert "is no run folder, so it is not moved aside" in capsys.readouterr().err
        assert [path.name for path in sorted(folder.rglob("*"))] == [name, "mine.txt", "notes.txt"]
    clear(tmp_path / "hub")
    assert (tmp_path / "hub" / "hub" / "mine.txt").is_file()


def test_what_lies_in_a_run_folder_is_not_moved_with_it(run, tmp_path, capsys, monkeypatch):
    corpus = run / "corpus"
    shutil.copytree(small_runs.corpus(), corpus)
    small_runs.forget_accelerator()
    arguments = ["--checkpoint-dir", str(run), *small_runs.SMALL, "--max-steps", "1", "--reset-training"]
    assert train_main.main(["--train-data", str(corpus), *arguments]) == 2
    assert f"holds the corpus {corpus}, so it is not moved aside" in capsys.readouterr().err
    monkeypatch.chdir(run)
    assert train(Path("."), "--max-steps", "1", "--reset-training") == 2
    assert "holds the folder that this command runs in" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    (run / ".git").mkdir()
    assert train(run, "--max-steps", "1", "--reset-training") == 2
    assert "holds a git repository" in capsys.readouterr().err
    assert newest(run).name == "step-00000001"


def test_debug_moves_no_real_run_aside(run, tmp_path, capsys):
    assert train(run, "--debug", "--max-steps", "1") == 2
    assert "holds a run that was no --debug run" in capsys.readouterr().err
    (run / "goya_run.json").unlink()  # as an earlier version left it
    assert train(run, "--debug", "--max-steps", "1") == 2
    assert newest(run).name == "step-00000001" and not (tmp_path / "run.old1").exists()


@pytest.mark.parametrize("marker", ["{", "[]", "{}", None], ids=["no json", "no facts", "no debug", "unreadable"])
def test_a_run_that_does_not_say_what_it_was_is_no_debug_run(run, marker, capsys, monkeypatch):
    if marker is not None:
        (run / "goya_run.json").write_text(marker)
    else:
        read = Path.read_text

        def refused(self, *args, **more):
            if self.name == "goya_run.json":
                raise PermissionError(13, "Permission denied")
            return read(self, *args, **more)

        monkeypatch.setattr(Path, "read_text", refused)
    assert train(run, "--debug", "--max-steps", "1") == 2
    assert "holds a run that was no --debug run" in capsys.readouterr().err


def test_a_debug_run_of_an_earlier_version_is_moved_aside(tmp_path):
    assert train(tmp_path / "run", "--debug", "--max-steps", "1") == 0
    (tmp_path / "run" / "goya_run.json").unlink()
    assert train(tmp_path / "run", "--debug", "--max-steps", "1") == 0
    assert newest(tmp_path / "run.old1").name == "step-00000001"


@pytest.mark.parametrize("gone", ["checkpoints", "goya_run.json"], ids=["ended early", "of an earlier version"])
def test_a_run_folder_is_known_by_its_marker_or_by_its_checkpoints_and_the_new_one_is_locked_too(run, gone):
    (run / "notes.txt").write_text("mine")
    os.replace(run / gone, run.parent / gone)
    assert train(run, "--max-steps", "1", "--reset-training") == 0
    assert (run.with_name("run.old1") / "notes.txt").is_file() and not (run / "notes.txt").exists()
    assert (run / "run.lock").read_text() == str(os.getpid())


def test_a_folder_that_cannot_be_locked_can_be_trained_in(run):
    (run / "run.lock").unlink()
    (run / "run.lock").mkdir()
    assert train(run, "--max-steps", "2") == 0
    assert newest(run).name == "step-00000002"


def test_a_run_folder_that_may_not_be_listed_is_a_message(tmp_path, monkeypatch, capsys):
    run, listed = tmp_path / "run", Path.iterdir

    def refused(self):
        if self == run:
            raise PermissionError(13, "Permission denied")
        return listed(self)

    run.mkdir()
    monkeypatch.setattr(Path, "iterdir", refused)  # the tests may be root's, whom nothing is forbidden
    assert train(run, "--max-steps", "1") == 2
    assert f"The run folder {run} cannot be read (Permission denied)" in capsys.readouterr().err


@pytest.mark.parametrize("make", [lambda path, other: path.symlink_to(other), lambda path, _: os.mkfifo(path)])
@pytest.mark.parametrize("name", [MARKER, LOCK])
def test_nothing_of_a_strangers_run_is_written_through(name, make, tmp_path):
    """A link would have its target written over, and a pipe would be waited for."""
    root, other = tmp_path / "run", tmp_path / "somebody's"
    (root / "best").mkdir(parents=True)
    other.write_text("precious")
    make(root / name, other)
    small_runs.forget_accelerator()
    config = RunConfig(checkpoint=CheckpointConfig(dir=str(root)))
    folder = RunFolder(config, {}, Accelerator(cpu=True))
    try:
        folder.check()
        folder.take()
        assert name == MARKER and (root / MARKER).is_file() and not (root / MARKER).is_symlink()
    except UserError as error:
        assert name == LOCK and f"{root / LOCK} is no regular file" in str(error)
    folder.release()
    assert other.read_text() == "precious"


def test_a_report_is_written_in_the_place_of_a_link(tmp_path):
    (tmp_path / "other").write_text("precious")
    (tmp_path / "report.json").symlink_to(tmp_path / "other")
    write_anew(tmp_path / "report.json", "{}")
    assert (tmp_path / "report.json").read_text() == "{}" and (tmp_path / "other").read_text() == "precious"
