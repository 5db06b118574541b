"""Checkpoints: whole or not there, checked when read, rotated, found again."""

import json
import os
import re
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator

from data_pipeline.errors import UserError
from testing import small_runs
from training.config.fields import CheckpointConfig
from training.state.checkpoint import CheckpointFolder, move_aside
from training.state.state_files import StateFiles, load_weights

AUTO = CheckpointConfig()
RATES = (1e-3, 2e-3)  # of the weight and the bias


class Run:
    """A folder, a model of four numbers that has taken an optimizer step, and the way between them."""

    def __init__(self, root, keep: int = 2):
        small_runs.forget_accelerator()
        accelerator = Accelerator(cpu=True)
        self.model = torch.nn.Linear(2, 2)
        groups = [
            {"params": [parameter], "lr": rate} for parameter, rate in zip(self.model.parameters(), RATES, strict=True)
        ]
        optimizer = torch.optim.AdamW(groups)
        _, self.optimizer = accelerator.prepare(self.model, optimizer)
        self.model(torch.ones(1, 2)).sum().backward()
        self.optimizer.step()
        self.files = StateFiles(accelerator, self.model, self.optimizer, {})
        self.folder = CheckpointFolder(accelerator, root, keep, lambda path: (path / "config.json").write_text("{}"))
        self.folder.prepare(reset=False)

    def save(self, step: int, state: dict):
        return self.folder.save(step, state, self.files)

    def load(self, path) -> dict:
        self.files.load(path)
        return self.folder.training_state(path)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.folder.iterdir())


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(tmp_path / "run")


def test_what_is_saved_comes_back(run):
    moments = {name: run.optimizer.state[one]["exp_avg"].clone() for name, one in run.model.named_parameters()}
    with torch.no_grad():
        run.model.weight.fill_(3.0)
    path = run.save(7, {"cursor": 5})
    assert path.name == "step-00000007" and (path / "config.json").is_file()
    drawn = torch.rand(3)
    with torch.no_grad():
        run.model.weight.zero_()
    run.optimizer.optimizer.state.clear()
    for group in run.optimizer.param_groups:
        group["lr"] = 9.0
    assert run.load(path) == {"cursor": 5} and (run.model.weight == 3.0).all()
    assert tuple(group["lr"] for group in run.optimizer.param_groups) == RATES and torch.equal(torch.rand(3), drawn)
    for name, parameter in run.model.named_parameters():
        state = run.optimizer.state[parameter]
        assert torch.equal(state["exp_avg"], moments[name]) and float(state["step"]) == 1


def test_the_scale_of_fp16_comes_back(run):
    run.files.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    run.files.accelerator.scaler.scale(torch.ones(()))  # it makes its numbers when they are wanted first
    path = run.save(3, {})
    run.files.accelerator.scaler.update(2.0)
    run.load(path)
    assert run.files.accelerator.scaler.get_scale() == 8.0


@pytest.mark.parametrize("sharded", [False, True])
def test_weights_or_their_average_are_read_of_a_checkpoint(run, sharded):
    averages = {name: torch.full_like(weight, 5.0) for name, weight in run.model.state_dict().items()}
    run.files = StateFiles(run.files.accelerator, run.model, run.optimizer, averages)
    path, weights = run.save(3, {}), run.model.weight.detach().clone()
    if sharded:  # each kind in a folder of its own, as several ranks write it
        for kind in ("model", "average"):
            (path / kind).mkdir()
            os.replace(path / f"{kind}.safetensors", path / kind / "model-00001-of-00001.safetensors")
    for averaged, expected in ((True, averages["weight"]), (False, weights)):
        load_weights(run.model, path, averaged)
        assert torch.equal(run.model.weight, expected)


@pytest.mark.parametrize("where", ["weight", "moment", None])
def test_what_is_no_number_is_found_wherever_it_lies(run, where):
    harmed = {"weight": run.model.bias, "moment": run.optimizer.state[run.model.weight]["exp_avg_sq"]}.get(where)
    if harmed is not None:
        with torch.no_grad():
            harmed[-1] = float("inf")
    assert run.files.are_finite() == (harmed is None)


def test_a_checkpoint_of_another_model_is_refused(run, tmp_path):
    path = run.save(7, {})
    run.model.weight = torch.nn.Parameter(torch.zeros(3, 2))
    with pytest.raises(UserError, match="does not fit this run's model"):
        run.load(path)


def test_a_checkpoint_holds_no_pickle(run):
    path = run.save(1, {})
    suffixes = {file.suffix for file in path.rglob("*") if file.is_file()}
    assert suffixes == {".safetensors", ".json"}


def test_the_newest_stay_in_the_order_of_their_steps(run):
    for step in (8, 99, 100, 1000):
        run.save(step, {})
    assert run.names() == ["step-00000100", "step-00001000"] and run.folder.newest().name == "step-00001000"


def test_what_is_not_whole_is_not_resumed_and_goes_with_the_next_start(run):
    run.save(3, {"whole": True})
    partial = run.folder.folder / "step-00000004.partial"
    partial.mkdir()
    (partial / "training_state.json").write_text("{}")
    (run.folder.folder / "step-00000005").mkdir()  # without its state and checksums
    assert [path.name for path in run.folder.all()] == ["step-00000003"]
    assert run.folder.to_resume(AUTO) == run.folder.newest() == run.folder.folder / "step-00000003"
    run.folder.prepare(reset=False)
    assert not partial.exists()


FILES = ("model.safetensors", "optimizer.safetensors", "training_state.json", "checksums.json", "random_state_0.json")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", ["flipped", "truncated", "missing"])
def test_a_damaged_checkpoint_is_found_out_and_the_one_before_used(run, capsys, file, harm):
    run.save(3, {})
    path = run.save(6, {}) / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if harm == "flipped" else content[:-7])
    if harm == "missing":
        path.unlink()
    before = run.folder.folder / "step-00000003"
    assert run.folder.to_resume(AUTO) == before
    if (file, harm) not in (("training_state.json", "missing"), ("checksums.json", "missing")):  # no checkpoint at all
        out = capsys.readouterr().out
        found = "checksums.json|is missing" if file == "checksums.json" else re.escape(file)
        assert re.search(f"step-00000006 is damaged: .*({found}).* renamed to step-00000006.damaged1", out)
        assert run.names() == ["step-00000003", "step-00000006.damaged1"]
    assert run.folder.newest() == before


def test_a_damaged_checkpoint_that_was_named_is_an_error(run):
    path = run.save(6, {})
    (path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="is damaged: model.safetensors is not what was written"):
        run.folder.to_resume(CheckpointConfig(resume=str(path)))
    assert path.is_dir()


def test_where_all_are_damaged_nothing_starts_from_nothing(run):
    for step in (3, 6):
        (run.save(step, {}) / "model.safetensors").write_bytes(b"")
    for _ in range(2):  # a second attempt, too
        with pytest.raises(UserError, match="All 2 checkpoints in .* are damaged"):
            run.folder.to_resume(AUTO)
    assert run.folder.to_resume(CheckpointConfig(resume="none")) is None


def test_checksums_lead_nowhere_else(run, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    path = run.save(3, {})
    (path / "checksums.json").write_text(json.dumps({str(secret): "0", "../../../secret": "0"}))
    with pytest.raises(UserError, match="is missing"):
        run.folder.to_resume(CheckpointConfig(resume=str(path)))


def full_disk(*_):
    raise OSError(28, "No space left on device")


def test_a_save_that_fails_leaves_the_old_ones_and_says_so(run, capsys):
    run.save(3, {"whole": True})
    plain, run.folder.export = run.folder.export, full_disk
    assert run.save(4, {}) is None
    said = capsys.readouterr().out
    assert "Step 4: no checkpoint was written ([Errno 28] No space left on device)" in said and "step-00000003" in said
    assert run.names() == ["step-00000003"] and run.load(run.folder.newest()) == {"whole": True}
    run.folder.export = plain
    assert run.save(5, {}).name == "step-00000005"


def test_a_first_save_that_fails_says_that_there_is_none_yet(run, capsys):
    run.folder.export = full_disk
    assert run.save(4, {}) is None
    assert "The newest is none yet." in capsys.readouterr().out


def test_a_checkpoint_of_the_same_step_is_replaced(run):
    run.save(3, {"number": 1})
    run.save(3, {"number": 2})
    assert run.names() == ["step-00000003"] and run.load(run.folder.newest()) == {"number": 2}


def test_what_a_kill_between_two_renames_leaves_is_put_right(run):
    path = run.save(3, {"number": 1})
    os.replace(path, path.with_name("step-00000003.replaced"))
    (run.folder.root / "best.replaced").mkdir()
    run.folder.prepare(reset=False)
    assert run.load(run.folder.newest()) == {"number": 1} and (run.folder.root / "best").is_dir()
    (run.folder.folder / "step-00000003.replaced").mkdir()
    run.folder.prepare(reset=False)
    assert run.names() == ["step-00000003"]


def test_what_resume_means(run, tmp_path):
    assert run.folder.to_resume(AUTO) is None
    path = run.save(3, {})
    assert run.folder.to_resume(CheckpointConfig(resume="none")) is None
    assert run.folder.to_resume(CheckpointConfig(resume=str(path))) == path
    with pytest.raises(UserError, match="is not a checkpoint of a run: it has no training_state.json"):
        run.folder.to_resume(CheckpointConfig(resume=str(tmp_path)))


def test_going_back_sets_the_later_ones_aside(run, capsys):
    first, second = run.save(3, {}), run.save(6, {})
    assert run.folder.to_resume(CheckpointConfig(resume=str(first))) == first
    assert run.names() == ["step-00000003", "step-00000006.aside1"]
    assert f"{second} was set aside" in capsys.readouterr().out


def test_best_is_replaced_whole(run, capsys):
    for content in ("1", "2"):
        run.folder.save_best(lambda path, content=content: (path / "model.safetensors").write_text(content))
    assert (run.folder.root / "best" / "model.safetensors").read_text() == "2" and capsys.readouterr().out == ""
    assert sorted(os.listdir(run.folder.root / "best")) == ["config.json", "model.safetensors"]
    run.folder.save_best(full_disk)
    assert "was not written ([Errno 28] No space left on device)" in capsys.readouterr().out
    assert (run.folder.root / "best" / "model.safetensors").read_text() == "2"
    assert sorted(os.listdir(run.folder.root)) == ["best", "checkpoints"]


def test_old_runs_are_moved_aside_not_deleted(tmp_path):
    assert move_aside(tmp_path / "run") is None
    for number in (1, 2):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "report.json").write_text(json.dumps(number))
        assert move_aside(tmp_path / "run") == tmp_path / f"run.old{number}"
    assert not (tmp_path / "run").exists() and (tmp_path / "run.old1" / "report.json").read_text() == "1"


def test_a_run_folder_that_cannot_be_made_is_an_error_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="The run folder .* cannot be written to .* --checkpoint-dir"):
        Run(tmp_path / "file" / "run")


def test_only_the_main_process_renames(run):
    run.folder.accelerator = SimpleNamespace(is_main_process=False, num_processes=1)
    run.folder._finish = lambda *args: pytest.fail("not the main process")
    run.folder.save(3, {}, SimpleNamespace(save=lambda folder: None))
    assert run.names() == []
