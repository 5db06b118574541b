"""The Hub through the front door: train_main pushes to a server on 127.0.0.1, and others load what it then holds."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import train_main
from hub.pusher import Pusher
from hub.session import hub_session
from inference.options import SpeechOptions
from inference.synthesizer import Synthesizer
from testing import small_runs
from testing.hub_server import READ_TOKEN, TOKEN, HubServer, in_process
from testing.small_runs import ROOT, losses, newest, train
from training.config.fields import RunConfig, with_values

pytestmark = pytest.mark.slow

ID = "ann/voice"
PUSH = ["--push-to-hub", ID, "--set", "hub.state_every_minutes=0"]
EVERY = "--set train.eval_every=3 --set checkpoint.every_steps=3 --set log.samples=1".split()
TEXT = "Thank you. One moment please."
# A process without this repository, as the world has it: of an editable install the finder goes too.
ALONE = """
import sys
sys.meta_path[:] = [one for one in sys.meta_path if "ditable" not in repr(one) + type(one).__module__]
sys.path[:] = [path for path in sys.path if path not in ("", {root!r})]
import importlib.util
assert not any(map(importlib.util.find_spec, ("data_pipeline", "modeling", "inference")))
import numpy
from transformers import AutoModel, AutoProcessor, pipeline
processor = AutoProcessor.from_pretrained({id!r}, trust_remote_code=True)
model = AutoModel.from_pretrained({id!r}, trust_remote_code=True)
alone = model.speak(processor, {text!r}, "es", seed=3).numpy()
speak = pipeline("text-to-speech", model={id!r}, trust_remote_code=True, device="cpu")
said = speak({text!r}, language="es", seed=3)
assert said["sampling_rate"] == 22_050
numpy.savez({out!r}, alone=alone, piped=said["audio"])
"""


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setattr(Pusher, "pause", lambda self, seconds: None)
    with HubServer() as server, in_process(server, monkeypatch, tmp_path / "home"):
        yield server


@dataclass
class Pushed:
    server: HubServer
    run: Path
    said: str


@pytest.fixture(scope="module")
def pushed(tmp_path_factory):
    """What small_runs.trained_run does, with a push to the Hub, in a process of its own."""
    folder = tmp_path_factory.mktemp("pushed")
    with HubServer() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment(folder / "home").items():
            patch.setenv(name, value)
        run = folder / "run"
        data = ["--train-data", small_runs.corpus(), "--checkpoint-dir", run]
        script = ROOT / "train_main.py"
        done = small_runs.launch(script, *data, *small_runs.SMALL, *EVERY, "--max-steps", "6", *PUSH)
        assert done.returncode == 0, done.stderr
        yield Pushed(server, run, done.stdout + done.stderr)


def content(pushed: Pushed, path: str) -> str:
    return pushed.server.content(ID, path).decode()


def test_a_run_s_model_is_there_private_and_whole(pushed):
    repository = pushed.server.repositories[ID]
    assert repository.private
    best = pushed.run / "best"
    assert pushed.server.content(ID, "model.safetensors") == (best / "model.safetensors").read_bytes()
    ours, theirs = (json.loads(text) for text in ((best / "config.json").read_text(), content(pushed, "config.json")))
    assert theirs["auto_map"]["AutoModel"] == "goya.GoyaForTextToSpeech" and theirs["custom_pipelines"]
    assert theirs == ours
    assert (best / "vocabulary.json").read_text() == content(pushed, "vocabulary.json")
    assert pushed.server.content(ID, "curves.png").startswith(b"\x89PNG")
    assert not (pushed.run / "hub").exists()
    # The best so far, each once, and the last with the whole run's card; what waited while a newer came is skipped.
    assert 2 <= len(repository.branches["main"]) <= 4


def test_the_card_says_what_was_measured_and_what_was_not(pushed):
    card, report = content(pushed, "README.md"), json.loads((pushed.run / "report.json").read_text())
    rows = small_runs.rows()
    assert f"| {report['result']['best_metric']:.4f} | `training/loop/validation.py`, at step 6 |" in card
    assert "Not measured: character error rate, likeness of the voice." in card
    assert "license: unknown" in card and "| license | unknown |" in card
    assert f"| recordings, held-out ones among them | {len(rows) + 4} |" in card
    assert "| size | debug, 1.0 M parameters |" in card and "| ended by | steps |" in card
    assert "a run of 6 steps" in card and "| corpus | corpus |" in card
    assert str(small_runs.corpus()) not in card and str(pushed.run) not in card
    (wav,) = (path for path in pushed.server.repositories[ID].files() if path.endswith(".wav"))
    assert f"{pushed.server.url}/{ID}/resolve/main/{wav}" in card
    assert pushed.server.content(ID, wav) == (pushed.run / wav).read_bytes()


def test_training_state_is_in_its_own_branch(pushed):
    files = pushed.server.repositories[ID].files("training-state")
    here = {path.relative_to(pushed.run).as_posix(): path for path in newest(pushed.run).iterdir()}
    assert here.keys() == {path for path in files if path.startswith("checkpoints/")}
    assert all(pushed.server.blobs[files[name]] == path.read_bytes() for name, path in here.items())
    assert "best/model.safetensors" in files


def test_the_token_is_nowhere(pushed):
    assert ID in pushed.said and TOKEN not in pushed.said
    assert all(TOKEN.encode() not in path.read_bytes() for path in pushed.run.rglob("*") if path.is_file())
    assert all(TOKEN.encode() not in blob for blob in pushed.server.blobs.values())


@pytest.mark.parametrize("where", ["the Hub", "the run's best folder"])
def test_a_model_speaks_where_goya_is_not(pushed, tmp_path, where):
    out = tmp_path / "said.npz"
    model = ID if where == "the Hub" else str(pushed.run / "best")
    program = ALONE.format(root=str(ROOT), id=model, text=TEXT, out=str(out))
    environment = {**os.environ, **pushed.server.environment(tmp_path / "home"), "PYTHONPATH": ""}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = np.load(out)
    ours = Synthesizer.from_pretrained(str(pushed.run), "cpu").speak(TEXT, SpeechOptions("es", seed=3)).numpy()
    assert len(ours) > 20_000
    np.testing.assert_array_equal(said["alone"], ours)
    np.testing.assert_array_equal(said["piped"], ours)


def test_synthesize_takes_the_id(pushed, tmp_path, monkeypatch):
    for name, value in pushed.server.environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    wavs = tmp_path / "hub.wav", tmp_path / "run.wav"
    for where, wav in zip((ID, pushed.run), wavs, strict=True):
        done = small_runs.launch(ROOT / "synthesize.py", where, "--text", TEXT, "--language", "es", "--out", wav)
        assert done.returncode == 0, done.stderr
    assert wavs[0].read_bytes() == wavs[1].read_bytes()


REFUSED = {
    "no token": ({"HF_TOKEN": None}, ID, "there is no token"),
    "a token that is refused": ({"HF_TOKEN": "hf_old"}, ID, "status 401"),
    "a token that can only read": ({"HF_TOKEN": READ_TOKEN}, ID, "can only read"),
    "somebody else's name": ({}, "bob/voice", "status 403"),
    "no owner": ({}, "voice", "expected owner/name"),
    "no id": ({}, "ann/my voice", "no id of a repository"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_hub_refuses_is_an_error_before_training(name, server, tmp_path, capfd, monkeypatch):
    variables, repo_id, told = REFUSED[name]
    for variable, value in variables.items():
        monkeypatch.delenv(variable) if value is None else monkeypatch.setenv(variable, value)
    assert train(tmp_path / "run", "--push-to-hub", repo_id, "--max-steps", "2") == 2
    said = capfd.readouterr()
    assert told in said.err and "Traceback" not in said.err
    assert not (tmp_path / "run" / "checkpoints").exists() and not server.repositories


def test_offline_is_an_error_before_training(server, tmp_path, capfd, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert train(tmp_path / "run", *PUSH, "--max-steps", "2") == 2
    assert "HF_HUB_OFFLINE is set" in capfd.readouterr().err


def test_a_hub_that_answers_503_to_everything_changes_nothing_of_the_run(server, tmp_path, capfd):
    server.fail(".", 10**6, status=503)
    steps = [*EVERY, "--max-steps", "3"]
    assert train(tmp_path / "pushes", *steps, *PUSH, "--set", "hub.wait_minutes=0") == 0
    said = capfd.readouterr().out
    assert train(tmp_path / "plain", *steps) == 0
    assert losses(tmp_path / "pushes") == losses(tmp_path / "plain")
    best = [(tmp_path / run / "best" / "model.safetensors").read_bytes() for run in ("pushes", "plain")]
    assert best[0] == best[1]
    assert "cannot be used now (status 503" in said
    (model,) = (tmp_path / "pushes" / "hub").glob("model-*")
    assert f"hf upload {ID} {model} . --revision main --private" in said
    assert (model / "goya.py").is_file() and (model / "model.safetensors").read_bytes() == best[0]


def test_no_step_waits_for_a_push(server, tmp_path, monkeypatch):
    held, plain = server.fail("PUT /lfs", 10**6, hold=threading.Event()), Pusher.finish

    def finish(self):
        # The run is over, and all that was asked of the Hub so far still waits for its answer.
        assert (tmp_path / "run" / "report.json").is_file()
        assert len(server.repositories[ID].branches["main"]) == 1
        held.hold.set()
        return plain(self)

    monkeypatch.setattr(Pusher, "finish", finish)
    assert train(tmp_path / "run", *EVERY, *PUSH, "--max-steps", "6", "--set", "checkpoint.keep=1") == 0
    assert "model.safetensors" in server.repositories[ID].files()
    assert any(
        path.startswith("checkpoints/step-00000006/") for path in server.repositories[ID].files("training-state")
    )


def test_public_and_a_branch_of_its_own(server, tmp_path, capfd):
    options = ["--public", "--hub-branch", "run-1", "--set", "hub.data_license=cc0-1.0"]
    assert train(tmp_path / "run", *PUSH, *options, "--max-steps", "2", "--set", "train.eval_every=2") == 0
    repository = server.repositories[ID]
    assert not repository.private and set(repository.branches) == {"main", "run-1", "run-1-training-state"}
    assert set(repository.files("main")) == {".gitattributes"}
    assert "license: cc0-1.0" in server.content(ID, "README.md", "run-1").decode()
    assert "public: everybody can read it" in capfd.readouterr().out


def test_of_several_processes_the_main_one_pushes(server, tmp_path):
    config = with_values(RunConfig(), {"hub.push_to_hub": ID, "checkpoint.dir": str(tmp_path)})

    class Second:
        is_main_process, num_processes = False, 1

    with hub_session(config, Second()) as pusher:
        assert pusher is None
    assert server.requests == []


def test_a_run_that_was_killed_goes_on_elsewhere(tmp_path, server, capfd):
    server.fail("commit/training-state", 1)  # the first one passes
    server.fail("commit/training-state", 10**6, hold=threading.Event())
    data = ["--train-data", small_runs.corpus(), "--checkpoint-dir", tmp_path / "here"]
    command = [sys.executable, ROOT / "train_main.py", *data, *small_runs.SMALL, *EVERY, "--max-steps", "6", *PUSH]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open(tmp_path / "said", "w") as said:
        process = subprocess.Popen(list(map(str, command)), env=environment, stdout=said, stderr=said)
        try:
            server.wait_for("commit/training-state", 2)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
    whole, _ = small_runs.trained_run()
    elsewhere = tmp_path / "elsewhere"
    assert train(elsewhere, *EVERY, "--max-steps", "6", "--resume-from-hub", ID) == 0
    assert "Goes on from step-00000003 of ann/voice." in capfd.readouterr().out
    expected = {name: {s: v for s, v in curve.items() if s > 3} for name, curve in losses(whole).items()}
    assert losses(elsewhere) == expected
    small_runs.assert_equal_ends(elsewhere, whole)
    assert (elsewhere / "best" / "model.safetensors").read_bytes() == (
        whole / "best" / "model.safetensors"
    ).read_bytes()


def test_the_best_model_comes_along(pushed, tmp_path, monkeypatch):
    with in_process(pushed.server, monkeypatch, tmp_path / "home"):
        assert train(tmp_path / "run", *EVERY, "--max-steps", "6", "--resume-from-hub", ID) == 0
    weights = [(run / "best" / "model.safetensors").read_bytes() for run in (tmp_path / "run", pushed.run)]
    assert weights[0] == weights[1]


def test_a_run_of_one_s_own_that_is_newer_wins_also_without_the_hub(pushed, tmp_path, monkeypatch, capfd):
    steps = [*EVERY, "--max-steps", "6"]
    with in_process(pushed.server, monkeypatch, tmp_path / "home"):
        assert train(tmp_path / "run", *steps, "--resume-from-hub", ID) == 0
        assert train(tmp_path / "run", *steps, "--resume-from-hub", ID) == 0
        assert "goes on from its own step-00000006" in capfd.readouterr().out
        fault = pushed.server.fail("tree/training-state", 10**6, status=503)
        assert train(tmp_path / "run", *steps, "--resume-from-hub", ID) == 0
        fault.times = 0
        assert "cannot be used now (status 503" in capfd.readouterr().out


def damaged(server: HubServer) -> None:
    files = server.repositories[ID].files("training-state")
    name = next(name for name in files if name.startswith("checkpoints/") and name.endswith("optimizer.json"))
    files[name] = files["best/config.json"]


NO_STATE = {
    "no such repository": ("ann/other", "status 404", lambda server: None),
    "no such branch": (ID, "status 404", lambda server: server.repositories[ID].branches.pop("training-state")),
    "no checkpoint": (ID, "no checkpoint", lambda server: server.repositories[ID].files("training-state").clear()),
    "a damaged one": (ID, "is damaged: optimizer.json", damaged),
    "a Hub that fails": (ID, "status 503", lambda server: server.fail(".", 10**6, status=503)),
}


@pytest.mark.parametrize("name", NO_STATE)
def test_training_state_that_cannot_be_had_is_an_error(name, pushed, tmp_path, monkeypatch, capfd):
    repo_id, told, harm = NO_STATE[name]
    branches, faults = pushed.server.repositories[ID].branches, list(pushed.server.faults)
    before = {branch: [dict(commit) for commit in commits] for branch, commits in branches.items()}
    harm(pushed.server)
    with in_process(pushed.server, monkeypatch, tmp_path / "home"):
        assert train(tmp_path / "run", "--max-steps", "6", "--resume-from-hub", repo_id) == 2
    pushed.server.repositories[ID].branches, pushed.server.faults = before, faults
    said = capfd.readouterr()
    assert told in said.err and "Traceback" not in said.err
    assert not list((tmp_path / "run").glob("checkpoints/*")) and not list((tmp_path / "run").glob("*.partial"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--public"], "nothing is pushed"),
        (["--resume-from-hub", ID, "--resume", "none"], "different places"),
        (["--resume-from-hub", ID, "--reset-training"], "different places"),
    ],
)
def test_flags_that_contradict(arguments, told, tmp_path, capfd):
    assert train_main.main(["--device", "cpu", "--checkpoint-dir", str(tmp_path), *arguments]) == 2
    assert told in capfd.readouterr().err
