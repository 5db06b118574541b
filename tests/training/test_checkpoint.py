"""Checkpoints: whole or not there, rotated, found again."""

import json
import os
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator

from data_pipeline.errors import UserError
from tests import small_runs
from training.checkpoint import CheckpointFolder, move_aside
from training.config import CheckpointConfig


@pytest.fixture
def folder(tmp_path) -> CheckpointFolder:
    small_runs.forget_accelerator()
    accelerator = Accelerator(cpu=True)
    model = torch.nn.Linear(2, 2)
    accelerator.prepare(model, torch.optim.AdamW(model.parameters()))
    folder = CheckpointFolder(accelerator, tmp_path / "run", 2, lambda path: (path / "config.json").write_text("{}"))
    folder.model = model
    return folder


def names(folder: CheckpointFolder) -> list[str]:
    return sorted(path.name for path in folder.folder.iterdir())


def test_what_is_saved_comes_back(folder):
    with torch.no_grad():
        folder.model.weight.fill_(3.0)
    path = folder.save(7, {"cursor": 5})
    assert path.name == "step-00000007" and (path / "config.json").is_file()
    with torch.no_grad():
        folder.model.weight.zero_()
    assert folder.load(path) == {"cursor": 5} and (folder.model.weight == 3.0).all()


def test_nothing_saved_is_a_pickle_of_code(folder):
    path = folder.save(1, {})
    assert (path / "model.safetensors").is_file()
    torch.load(path / "optimizer.bin", weights_only=True)


def test_the_newest_stay_in_the_order_of_their_steps(folder):
    for step in (8, 99, 100, 1000):
        folder.save(step, {})
    assert names(folder) == ["step-00000100", "step-00001000"] and folder.newest().name == "step-00001000"


def test_what_is_not_whole_is_not_resumed_and_goes_with_the_next_save(folder):
    folder.save(3, {"whole": True})
    partial = folder.folder / "step-00000004.partial"
    partial.mkdir()
    (partial / "training_state.json").write_text("{}")
    (folder.folder / "step-00000005").mkdir()  # without its training state
    assert [path.name for path in folder.all()] == ["step-00000003"]
    assert folder.to_resume(CheckpointConfig()) == folder.newest() == folder.folder / "step-00000003"
    folder.save(6, {})
    assert not partial.exists()


def test_an_exception_while_saving_leaves_the_old_ones(folder):
    folder.save(3, {"whole": True})

    def full_disk(path):
        raise OSError(28, "No space left on device")

    folder.export = full_disk
    with pytest.raises(OSError):
        folder.save(4, {})
    assert folder.newest().name == "step-00000003" and folder.load(folder.newest()) == {"whole": True}


def test_a_checkpoint_of_the_same_step_is_replaced(folder):
    folder.save(3, {"number": 1})
    folder.save(3, {"number": 2})
    assert names(folder) == ["step-00000003"] and folder.load(folder.newest()) == {"number": 2}


def test_what_resume_means(folder, tmp_path):
    assert folder.to_resume(CheckpointConfig()) is None
    folder.save(3, {})
    assert folder.to_resume(CheckpointConfig(resume="none")) is None
    assert folder.to_resume(CheckpointConfig(resume="some/where")).parts == ("some", "where")
    with pytest.raises(UserError, match="is not a checkpoint of a run: it has no training_state.json"):
        folder.load(tmp_path)


def test_best_is_replaced_whole(folder):
    for content in ("1", "2"):
        folder.save_best(lambda path, content=content: (path / "model.safetensors").write_text(content))
    assert (folder.root / "best" / "model.safetensors").read_text() == "2"
    assert sorted(os.listdir(folder.root / "best")) == ["config.json", "model.safetensors"]
    assert sorted(os.listdir(folder.root)) == ["best"]

    def broken(path):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        folder.save_best(broken)
    assert (folder.root / "best" / "model.safetensors").read_text() == "2"


def test_old_runs_are_moved_aside_not_deleted(tmp_path):
    assert move_aside(tmp_path / "run") is None
    for number in (1, 2):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "report.json").write_text(json.dumps(number))
        assert move_aside(tmp_path / "run") == tmp_path / f"run.old{number}"
    assert not (tmp_path / "run").exists() and (tmp_path / "run.old1" / "report.json").read_text() == "1"


def test_only_the_main_process_renames(folder):
    folder.accelerator = SimpleNamespace(
        is_main_process=False, wait_for_everyone=lambda: None, save_state=lambda *args, **kwargs: None
    )
    folder.save(3, {})
    assert not folder.folder.exists()
