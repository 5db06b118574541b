"""A run is told to stop anywhere: in an evaluation, while it waits for data, by its launcher's end."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import TrainerCallback

import train_main
import training.loop.validation
from data_pipeline.batching.stall_watchdog import BrokenOff, StallWatchdog
from testing import small_runs
from testing.small_runs import assert_equal_ends, newest, scalars, train
from training.loop.interruption import Interruption

pytestmark = pytest.mark.slow

ONE = SimpleNamespace(num_processes=1, is_main_process=True)
EVERY = "--set train.eval_every=2 --set checkpoint.every_steps=100".split()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_wait_for_data_ends_with_the_signal(number):
    with Interruption(ONE) as interruption:
        with pytest.raises(BrokenOff), StallWatchdog("a disk that is gone", 60).waiting(lambda: "nowhere"):
            signal.raise_signal(number)
        assert interruption.check() and interruption.signal == number
        signal.raise_signal(signal.SIGTERM)  # as a launcher sends one on
    assert interruption.name == number.name


def test_a_signal_in_an_evaluation_ends_it_and_the_evaluation_is_made_up_for(tmp_path, monkeypatch):
    whole, run, plain = tmp_path / "whole", tmp_path / "run", training.loop.validation.draw_as_planned
    arguments = ["--max-steps", "4", "--batch-size", "1", *EVERY]  # four validation batches
    assert train(whole, *arguments) == 0

    def told(batch):
        plain(batch)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(training.loop.validation, "draw_as_planned", told)
    assert train(run, *arguments) == 128 + signal.SIGTERM
    monkeypatch.setattr(training.loop.validation, "draw_as_planned", plain)
    assert newest(run).name == "step-00000002" and "eval_mel" not in scalars(run)
    assert train(run, *arguments) == 0
    assert scalars(run)["eval_mel"] == scalars(whole)["eval_mel"]
    assert_equal_ends(run, whole)


class KillsLoader(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 2:
            for process in multiprocessing.active_children():
                process.kill()
                process.join()


def test_a_loading_process_that_is_killed_is_a_message(tmp_path, capsys):
    few = ["--num-workers", "1", "--batch-size", "1", "--epochs", "2"]
    assert train(tmp_path / "run", *few, callbacks=[KillsLoader()]) == 2
    said = capsys.readouterr().err
    assert "A loading process ended" in said and "--num-workers 0" in said and "Traceback" not in said


def test_each_step_has_one_point_after_a_resume(tmp_path):
    run = tmp_path / "run"
    every = "--set checkpoint.every_steps=2 --set checkpoint.keep=9 --set train.eval_every=1".split()
    assert train(run, "--max-steps", "3", *every) == 0
    newest(run).rename(tmp_path / "gone")  # as if it had been killed after its last point
    assert train(run, "--max-steps", "5", *every) == 0
    events = EventAccumulator(str(run / "logs" / "goya"), purge_orphaned_data=True).Reload()
    for name in ("loss", "eval_mel"):
        assert [event.step for event in events.Scalars(name)] == [1, 2, 3, 4, 5]


def test_each_step_has_one_point_where_no_checkpoint_was_written_before_the_kill(tmp_path):
    run, script = tmp_path / "run", small_runs.ROOT / "train_main.py"
    data = ["--train-data", small_runs.corpus(), "--checkpoint-dir", run, *small_runs.SMALL, "--max-steps", "4"]
    blow = "train.callbacks={testing.blows:Blow: {name: SIGKILL, step: 3}}"
    killed = small_runs.launch(script, *data, "--set", blow, start_new_session=True)
    assert killed.returncode == -signal.SIGKILL and not list(run.glob("checkpoints/step-????????"))
    assert small_runs.launch(script, *data).returncode == 0
    events = EventAccumulator(str(run / "logs" / "goya"), purge_orphaned_data=True).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4]


LAUNCHER = """#!{python}
import subprocess, sys
subprocess.run([sys.executable, "-c", {child!r}])
"""
CHILD = """
import signal
from training.distributed.parent import end_with_launcher
end_with_launcher()
signal.signal(signal.SIGTERM, lambda *_: (print("told", flush=True), exit(0)))
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own word of a parent's death")
def test_the_end_of_the_launcher_is_heard(tmp_path):
    launcher = tmp_path / "accelerate"
    launcher.write_text(LAUNCHER.format(python=sys.executable, child=CHILD))
    environment = {**os.environ, "PYTHONPATH": str(small_runs.ROOT)}
    command = [sys.executable, str(launcher), "launch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as started:
        assert started.stdout.readline() == "ready\n"
        started.kill()
        assert started.stdout.readline() == "told\n"


@pytest.mark.parametrize("name", ["HOME", "HF_HOME", "XDG_CACHE_HOME"])
def test_a_home_that_cannot_be_written_is_no_matter(name, tmp_path):
    code = "from training.setup.caches import ensure_caches\nensure_caches()\nimport os, json\n"
    code += "print(json.dumps(dict(os.environ)))"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    environment |= {"HOME": str(tmp_path), name: "/proc/nowhere", "PYTHONPATH": str(small_runs.ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    found = json.loads(done.stdout)
    assert os.access(os.path.dirname(found["HF_DATASETS_CACHE"]), os.W_OK)
    assert re.search(r"/proc/nowhere\S*/datasets cannot be written", done.stderr) and "HF_HOME" in done.stderr


def test_a_small_shared_memory_means_no_loading_processes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=256, f_frsize=4096, f_namemax=255))
    assert train(tmp_path / "run", "--num-workers", "2", "--max-steps", "1") == 0
    assert "/dev/shm is too small for 2 loading processes" in capsys.readouterr().out


def test_it_is_answered_at_once(capfd):
    with Interruption(SimpleNamespace(num_processes=1, is_main_process=True)) as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        assert "Stopping after this step" in capfd.readouterr().err
        assert interruption.check() and interruption.name == "SIGINT"


def test_of_several_ranks_one_answers(capfd):
    with Interruption(SimpleNamespace(num_processes=1, is_main_process=False)):
        os.kill(os.getpid(), signal.SIGTERM)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("where", ["parse", "run"])
def test_outside_of_the_steps_there_is_no_traceback_either(monkeypatch, capsys, where):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_main, where, interrupted)
    assert train_main.main(["--train-data", "nowhere"]) == 128 + signal.SIGINT
    assert capsys.readouterr().err.strip().startswith("Stopped.")


def test_a_run_ends_with_its_launcher(tmp_path):
    run = tmp_path / "run"
    data = ["--train-data", small_runs.corpus(), "--checkpoint-dir", run, *small_runs.SMALL, "--max-steps", "100000"]
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--num_processes", "1", "--cpu"]
    command += [small_runs.ROOT / "train_main.py", *data]
    environment = {**os.environ, "PYTHONPATH": str(small_runs.ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True, env=environment) as launcher:
        for line in launcher.stdout:
            if re.match(r"step \d+ validation", line):
                launcher.kill()
                break
        rest = launcher.stdout.read()  # until the run, which has it too, is over
    assert "Saved in" in rest and newest(run).is_dir()
