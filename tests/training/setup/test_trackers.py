"""What each tracker holds after a run: curves, a sample to hear and see, the configuration. All of it offline."""

import json
import sqlite3
import subprocess

import pytest
import soundfile

from testing.small_runs import ROOT, SMALL, corpus, launch, losses

pytestmark = pytest.mark.slow

STEPS = 3


def run_with(tracker: str, run) -> None:
    pytest.importorskip(tracker, reason=f"pip install {tracker}")
    more = f"--tracker {tracker} --max-steps {STEPS} --set log.samples=1".split()
    data = ["--train-data", corpus(), "--checkpoint-dir", run]
    done = launch(ROOT / "train_main.py", *data, *SMALL, *more)
    assert done.returncode == 0, done.stderr[-3000:]


def test_mlflow(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    run_with("mlflow", tmp_path / "run")
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    (found,) = client.search_runs([client.get_experiment_by_name("goya").experiment_id])
    curve = client.get_metric_history(found.info.run_id, "loss/mel")
    assert [one.step for one in curve] == [1, 2, 3] and all(one.value > 0 for one in curve)
    assert found.data.params["model.size"] == "debug" and found.info.status == "FINISHED"
    (sample,) = client.list_artifacts(found.info.run_id, "sample")
    files = {one.path.rpartition(".")[2]: one.path for one in client.list_artifacts(found.info.run_id, sample.path)}
    assert files.keys() == {"wav", "png"}
    wave, _ = soundfile.read(client.download_artifacts(found.info.run_id, files["wav"], str(tmp_path)))
    assert len(wave) > 0


def test_wandb_without_a_login_is_a_message(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="pip install wandb")
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    data = ["--train-data", corpus(), "--checkpoint-dir", tmp_path / "run", "--tracker", "wandb", "--max-steps", "1"]
    done = launch(ROOT / "train_main.py", *data, *SMALL, stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "The tracker wandb could not be started" in done.stderr and "wandb login" in done.stderr


def test_wandb(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    run_with("wandb", tmp_path / "run")
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    media = folder / "files" / "media"
    (wav,), (png,) = media.rglob("*.wav"), media.rglob("*.png")
    assert len(soundfile.read(wav)[0]) > 0 and png.stat().st_size > 1000
    (record,) = folder.glob("*.wandb")
    assert b"loss/mel" in record.read_bytes() and b"model.size" in record.read_bytes()


def test_trackio(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    run_with("trackio", tmp_path / "run")
    with sqlite3.connect(tmp_path / "trackio" / "goya.db") as database:
        rows = [(step, json.loads(metrics)) for step, metrics in database.execute("SELECT step, metrics FROM metrics")]
        (config,) = database.execute("SELECT config FROM configs").fetchone()
    assert [step for step, metrics in rows if "loss/mel" in metrics] == [1, 2, 3]
    assert json.loads(config)["model.size"] == "debug"
    (sample,) = [metrics for _, metrics in rows if any(name.startswith("sample/") for name in metrics)]
    assert (
        len(sample) >= 2 and list((tmp_path / "trackio").rglob("*.wav")) and list((tmp_path / "trackio").rglob("*.png"))
    )


def test_tensorboard_is_the_default(tmp_path):
    run_with("tensorboard", tmp_path / "run")
    assert losses(tmp_path / "run")["loss/mel"].keys() == {1, 2, 3}
