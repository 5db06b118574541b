"""Callbacks of the user's own: from an installed package, from a file, from Python; what they keep; what goes wrong."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from data_pipeline.plugins import CALLBACKS
from testing import small_runs
from testing.small_runs import SMALL, assert_equal_ends, launch, newest, scalars
from tests.extending import packages
from training.state.checksums import seal

ROOT = Path(__file__).parents[2]
RARELY = "--set checkpoint.every_steps=100 --set train.eval_every=100".split()


def arguments(run: Path, *more: str) -> list[str]:
    return ["--train-data", str(small_runs.corpus()), "--checkpoint-dir", str(run), *SMALL, *RARELY, *more]


def launched(run: Path, *more: str, **how):
    return launch(ROOT / "train_main.py", *arguments(run, *more), paths=[packages.example()], **how)


def states(run: Path) -> dict:
    return json.loads((newest(run) / "training_state.json").read_text())["callbacks"]


@pytest.mark.slow
def test_one_of_an_installed_package_is_called_kept_and_resumed(tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text("train:\n  callbacks:\n    stop_at_mel: {target: 0.001, smoothing: 0.5}\n")
    given = ["--config", str(config), "--callback", "stop_at_mel"]
    for run, steps in (("whole", "4"), ("run", "2"), ("run", "4")):
        done = launched(tmp_path / run, *given, "--max-steps", steps)
        assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(scalars(tmp_path / "whole")["mel_mean"]) == [1, 2, 3, 4]
    assert scalars(tmp_path / "run")["mel_mean"] == scalars(tmp_path / "whole")["mel_mean"]
    assert_equal_ends(tmp_path / "run", tmp_path / "whole")
    kept = states(tmp_path / "run")["goya_example.callback:StopAtMel"]["mean"]
    assert kept == pytest.approx(scalars(tmp_path / "run")["mel_mean"][4])
    left_out = launched(tmp_path / "run", "--max-steps", "5")
    assert left_out.returncode == 0 and "callback stop_at_mel: this command does not give it" in left_out.stdout
    assert "goya_example.callback:StopAtMel" not in states(tmp_path / "run")


@pytest.mark.slow
def test_it_can_end_a_run(tmp_path):
    stop = ["--set", "train.callbacks={stop_at_mel: {target: 1000}}", "--max-steps", "9"]
    assert launched(tmp_path / "run", *stop).returncode == 0
    assert newest(tmp_path / "run").name == "step-00000001"


RANKS = """
import sys
from transformers import TrainerCallback

class Ranks(TrainerCallback):
    def __init__(self, word="called"):
        self.word = word

    def on_step_end(self, args, state, control, **kwargs):
        sys.stdout.write(f"{self.word} on the main rank: {state.is_world_process_zero}, step {state.global_step}\\n")

def without_arguments():
    return Ranks("made by a function")
"""


@pytest.mark.slow
def test_one_of_a_file_in_the_current_folder_is_called_on_every_rank(tmp_path):
    name = "ranks_of_mine"
    (small_runs.folder() / f"{name}.py").write_text(RANKS)  # where `launch` runs
    done = launched(tmp_path / "run", "--callback", f"{name}:Ranks", "--max-steps", "1", processes=2)
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(re.findall(r"called on the main rank: (\w+), step 1", done.stdout)) == ["False", "True"]
    done = launched(tmp_path / "other", "--callback", f"{name}:without_arguments", "--max-steps", "1")
    assert "made by a function on the main rank: True, step 1" in done.stdout


class Counted(TrainerCallback):
    """Counts steps; has `state_dict`."""

    def __init__(self, kept=None):
        self.steps, self.kept = 0, kept

    def on_step_end(self, args, state, control, **kwargs):
        self.steps += 1

    def state_dict(self):
        return {"steps": self.steps} if self.kept is None else self.kept

    def load_state_dict(self, state):
        self.steps = state["steps"]


class Exported(TrainerCallback, ExportableState):
    """Counts steps, as transformers' own callbacks keep things."""

    steps = 0

    def on_step_end(self, args, state, control, **kwargs):
        self.steps += 1

    def state(self):
        return {"args": {}, "attributes": {"steps": self.steps}}


@pytest.mark.slow
def test_from_python_two_of_a_class_keep_their_own(tmp_path, capsys):
    for steps in ("2", "3"):
        given = [Counted(), Counted(), Exported()]
        given[1].steps += 10 if steps == "2" else 0
        assert small_runs.train(tmp_path / "run", *RARELY, "--max-steps", steps, callbacks=given) == 0
    assert [one.steps for one in given] == [3, 13, 3]
    assert small_runs.train(tmp_path / "run", *RARELY, "--max-steps", "4") == 0
    name = f"{Counted.__module__}:Counted"
    assert f"callback {name}: this command does not give it" in capsys.readouterr().out


@pytest.mark.parametrize("kept", [{"weights": torch.ones(2)}, {3: 1}, {"x": float("nan")}, ["a list"]], ids=str)
def test_what_cannot_be_kept_is_told_before_the_first_step(kept, tmp_path, capsys):
    assert small_runs.train(tmp_path / "run", "--max-steps", "1", callbacks=[Counted(kept)]) == 2
    said = capsys.readouterr().err
    assert "The callback" in said and ":Counted keeps" in said and "as JSON holds them" in said
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


class Changed(Counted):
    def load_state_dict(self, state):
        self.steps = state["strides"]


Changed.__qualname__ = "Counted"


def test_what_cannot_be_taken_back_is_told(tmp_path, capsys):
    assert small_runs.train(tmp_path / "run", *RARELY, "--max-steps", "1", callbacks=[Counted()]) == 0
    assert small_runs.train(tmp_path / "run", *RARELY, "--max-steps", "2", callbacks=[Changed()]) == 2
    said = capsys.readouterr().err
    assert ":Counted cannot take back what it kept in" in said and "KeyError: 'strides'" in said


WRONG = {
    "no_such_package:Thing": [
        "cannot be imported",
        "No module named 'no_such_package'",
        "Expected package.module:Class",
    ],
    "tests.extending.test_callbacks:Nothing": ["has no attribute 'Nothing'"],
    "stop_at_male": ["There is no callback 'stop_at_male'", "(stop_at_mel)"],
    "builtins:open": ["cannot be made with the arguments {}", "missing required argument 'file'"],
    "json:JSONDecoder": ["is JSONDecoder; expected a subclass of transformers.TrainerCallback"],
    "pathlib:": ["cannot be made with the arguments"],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_name_is_one_message(name, tmp_path, capsys, monkeypatch):
    packages.use(packages.example(), monkeypatch)
    assert small_runs.train(tmp_path / "run", "--callback", name) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said and [words for words in WRONG[name] if words not in said] == [], said


BROKEN = {
    "import": ("import not_there", ["No module named 'not_there'"]),
    "syntax": ("def f(:", ["SyntaxError"]),
    "exit": ("raise SystemExit('no license')", ["SystemExit: no license", "line 1 of "]),
    "attribute": ("x = 1", ["has no attribute 'Bell'"]),
    "kind": ("Bell = 3", ["is int; expected Callable"]),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_package_is_one_message_that_names_it(kind, tmp_path, capsys, monkeypatch):
    code, words = BROKEN[kind]
    packages.write_package(tmp_path, f"goya-{kind}", CALLBACKS, {"bell": "Bell"}, code)
    packages.use(tmp_path, monkeypatch)
    assert small_runs.train(tmp_path / "run", "--callback", "bell") == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said and said.count("error:") == 1
    named = f"'bell' (goya.callbacks: goya_{kind}:Bell) of the installed package goya-{kind}"
    assert [one for one in (named, f"pip uninstall goya-{kind}", *words) if one not in said] == [], said


def test_two_packages_with_one_name_are_refused_with_both_named(tmp_path, capsys, monkeypatch):
    for name in ("goya-one", "goya-other"):
        packages.write_package(tmp_path, name, CALLBACKS, {"bell": "Bell"})
    packages.use(tmp_path, monkeypatch)
    assert small_runs.train(tmp_path / "run", "--callback", "bell") == 2
    said = capsys.readouterr().err
    assert "is claimed by" in said and "pip uninstall" in said
    assert "package goya-one" in said and "package goya-other" in said


@pytest.mark.slow
def test_what_a_strangers_run_names_is_never_imported(tmp_path, capsys):
    """A checkpoint, a report and a model that ask for a callback in their configuration, beside a module that tells."""
    run, done = small_runs.trained_run()
    assert done.returncode == 0, done.stderr[-3000:]
    theirs, marker = tmp_path / "theirs", tmp_path / "imported"
    shutil.copytree(run, theirs)
    (small_runs.folder() / "evil.py").write_text(f"open({str(marker)!r}, 'w')\n")
    for file in (newest(theirs) / "training_state.json", theirs / "report.json", theirs / "best" / "config.json"):
        document = json.loads(file.read_text())
        section = document.get("config", document)
        section.setdefault("train", {})["callbacks"] = {"evil:Evil": {}}
        file.write_text(json.dumps(document))
    seal(newest(theirs))
    for where in ("--resume", "--init-from"):
        given = newest(theirs) if where == "--resume" else theirs
        done = launched(tmp_path / where, where, str(given), "--max-steps", "7")
        assert done.returncode == 0, done.stderr[-3000:]
    done = launch(
        ROOT / "synthesize.py", theirs, "--text", "Hello.", "--out", tmp_path / "a.wav", "--vocoder", "griffin_lim"
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not marker.exists()
    assert "evil" not in sys.modules
