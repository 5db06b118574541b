"""The front door: python train_main.py on a small corpus of real speech, and what it leaves behind."""

import json
import math
import os
import re
import signal
import sys
from pathlib import Path

import pytest
import soundfile
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import PrinterCallback, TrainerCallback

import train_main
import training.loop.step
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from testing import blows, small_runs
from testing.small_runs import assert_equal_ends, launch, losses, newest, scalars, train

pytestmark = pytest.mark.slow

STEPS_AN_EPOCH = 5  # 30 utterances in 9 batches of up to 4, 2 batches a step


def sets(*assignments: str) -> list[str]:
    return [word for assignment in assignments for word in ("--set", assignment)]


def state_of(run: Path) -> dict:
    return json.loads((newest(run) / "training_state.json").read_text())


# A whole run


@pytest.fixture(scope="module")
def trained() -> Path:
    run, done = small_runs.trained_run()
    assert done.returncode == 0, done.stderr[-3000:]
    return run


def test_a_run_says_what_it_does_and_what_to_do_next(trained):
    out = small_runs.trained_run()[1].stdout
    assert re.search(r"^model size +debug +flag --model-size$", out, re.MULTILINE)
    assert "step 6 validation: mel " in out
    assert f"synthesize.py {trained} --text 'Thank you for calling.' --out hello.wav" in out
    assert "Traceback" not in small_runs.trained_run()[1].stderr


def test_a_run_leaves_checkpoints_that_load(trained):
    assert [path.name for path in sorted((trained / "checkpoints").iterdir())] == ["step-00000003", "step-00000006"]
    for path in (trained / "best", newest(trained)):
        model, processor = GoyaForTextToSpeech.from_pretrained(path), GoyaProcessor.from_pretrained(path)
        assert model.config.hidden_size == 64 and processor.feature_extractor.n_mels == 80
        assert {len(voice) for voice in model.config.voices.values()} == {model.config.voice_size}


def test_a_run_leaves_samples_to_hear_and_see(trained):
    [wav] = (trained / "samples").glob("step-00000006-*.wav")
    wave, rate = soundfile.read(wav)
    assert rate == 22_050 and len(wave) > 256 and (wave != 0).any()
    assert wav.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_a_run_leaves_curves_sounds_and_pictures_in_tensorboard(trained):
    curves = scalars(trained)
    assert {"loss", "grad_norm", "learning_rate", "padded_share", "frames_per_s", "step_s"} < curves.keys()
    assert all(0 < share < 1 for share in list(curves["data_wait_share"].values())[1:])
    for name in ("mel", "stop", "kl", "alignment"):
        assert sorted(curves[f"loss/{name}"]) == sorted(curves[f"weight/{name}"]) == list(range(1, 7))
    assert sorted(curves["eval_mel"]) == [3, 6]
    total = sum(curves[f"loss/{name}"][5] * curves[f"weight/{name}"][5] for name in ("mel", "stop", "kl", "alignment"))
    assert curves["loss"][5] == pytest.approx(total, rel=1e-5)
    parts = [curve[5] for name, curve in curves.items() if name.startswith("grad_norm/")]
    assert math.hypot(*parts) == pytest.approx(curves["grad_norm"][5], rel=1e-4)
    [events] = (trained / "logs" / "goya").glob("events.out.*")
    tags = EventAccumulator(str(events)).Reload().Tags()
    assert len(tags["audio"]) == len(tags["images"]) == 1


def test_a_run_leaves_a_report(trained):
    report = json.loads((trained / "report.json").read_text())
    assert report["result"]["steps"] == 6 and report["result"]["reason"] == "steps"
    assert report["rows"]["broken"] == {} and report["rows"]["kept"] >= 30
    assert report["config"]["model"]["size"] == "debug" and 0 < report["result"]["padded_share"] < 1
    best = scalars(trained)["eval_mel"]
    assert report["result"]["best_metric"] == pytest.approx(min(best.values()), rel=1e-5)


def test_debug_goes_through_every_part(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_runs.forget_accelerator()
    arguments = ["--debug", "--train-data", str(small_runs.corpus()), "--max-steps", "3", "--device", "cpu"]
    run = tmp_path / "runs" / "debug"
    for old_runs in (0, 1):  # a second one does not go on where the first ended
        small_runs.forget_accelerator()
        assert train_main.main(arguments) == 0
        assert sorted(scalars(run)["loss"]) == [1, 2, 3] and "eval_mel" in scalars(run)
        assert (run / "best").is_dir() and len(list((run / "samples").glob("*.wav"))) == 1
        assert len(list((tmp_path / "runs").glob("debug.old*"))) == old_runs
    assert "The old run was moved to" in capsys.readouterr().out


# Length

OFTEN_ENOUGH = ("log.every_steps=1", "checkpoint.every_steps=100")


def test_a_run_of_epochs_evaluates_at_the_end_of_each_and_ends_after_the_last(tmp_path):
    arguments = ["--epochs", "3", *sets("log.every_steps=5")]
    assert train(tmp_path / "run", *arguments) == 0
    curves = scalars(tmp_path / "run")
    assert sorted(curves["eval_mel"]) == [STEPS_AN_EPOCH, 2 * STEPS_AN_EPOCH, 3 * STEPS_AN_EPOCH]
    saved = state_of(tmp_path / "run")
    assert saved["trainer"]["global_step"] == 3 * STEPS_AN_EPOCH
    assert saved["cursor"] == {"epoch": 3, "rows": 0, "batch": 0, "group": 1}
    assert json.loads((tmp_path / "run" / "report.json").read_text())["result"]["reason"] == "epochs"


def test_a_run_of_epochs_that_is_cut_in_the_first_has_the_same_rates(tmp_path):
    """Warm-up and period follow from the length of an epoch, which no process has read whole."""
    small = re.sub(r"--set optim[.][a-z_]+=\d+ ", "", " ".join(small_runs.SMALL)).split()
    arguments = ["--train-data", str(small_runs.corpus()), *small, "--epochs", "3", *sets(*OFTEN_ENOUGH)]

    def run(name: str, *callbacks: TrainerCallback) -> int:
        small_runs.forget_accelerator()
        return train_main.main([*arguments, "--checkpoint-dir", str(tmp_path / name)], callbacks=callbacks)

    assert run("whole") == 0
    for step in (2, 4, 9):
        assert run("run", blows.ToldToStop(step)) == 128 + signal.SIGTERM
    assert run("run") == 0
    rates = scalars(tmp_path / "whole")["learning_rate"]
    assert rates[STEPS_AN_EPOCH] < 1e-5 < 1e-4 < rates[STEPS_AN_EPOCH + 1]  # what the first epoch could not know
    compare(tmp_path / "run", tmp_path / "whole")
    assert sorted(scalars(tmp_path / "run")["eval_mel"]) == sorted(scalars(tmp_path / "whole")["eval_mel"])


def test_a_long_single_epoch_ends_with_it(tmp_path):
    """More steps than those at which the run's length is estimated, and no logged step at the end."""
    arguments = ["--epochs", "1", "--batch-size", "1", "--grad-accum", "2", *sets("log.every_steps=7")]
    assert train(tmp_path / "run", *arguments) == 0
    assert state_of(tmp_path / "run")["trainer"]["global_step"] == 15
    assert (tmp_path / "run" / "best").is_dir()


def test_a_run_ends_with_an_evaluation_in_the_middle_of_an_epoch(tmp_path):
    assert train(tmp_path / "run", "--max-steps", "2") == 0
    assert sorted(scalars(tmp_path / "run")["eval_mel"]) == [2]


def test_a_finished_run_has_nothing_left_to_do(tmp_path):
    for _ in range(2):
        assert train(tmp_path / "run", "--max-steps", "2") == 0
        assert state_of(tmp_path / "run")["trainer"]["global_step"] == 2
    assert sorted(scalars(tmp_path / "run")["loss"]) == [1, 2]


# Resume

# The loss weights move every 2 steps, so that a short run sees them move.
KEPT = sets("checkpoint.every_steps=100", "train.eval_every=2", "train.ema_decay=0.9", "loss.adaptive_every_steps=2")
RESUMABLE = ("--max-steps", "7", "--num-workers", "1", *KEPT)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("unbroken") / "run"
    assert train(run, *RESUMABLE) == 0
    multipliers = state_of(run)["callbacks"]["AdaptiveWeights"]["multipliers"]
    assert len(set(multipliers.values())) > 1  # what a resume has to keep has moved
    return run


def test_a_chain_of_resumes_is_bit_equal(unbroken, tmp_path):
    run = tmp_path / "run"
    for steps in ("1", "3", "6", "7"):
        assert train(run, *RESUMABLE, "--max-steps", steps, "--set", "train.eval_every=2") == 0
    compare(run, unbroken)


def compare(run: Path, unbroken: Path) -> None:
    found, expected = losses(run), losses(unbroken)
    for name, curve in expected.items():
        if not name.startswith("eval_"):  # a run that was cut short evaluated where it ended
            assert found[name] == curve, name
    assert_equal_ends(run, unbroken)


def test_signals_and_a_kill_in_saving_lose_nothing(unbroken, tmp_path):
    """SIGTERM and SIGINT to the whole process group, loading processes included; SIGKILL half-way through a save."""
    run, script = tmp_path / "run", small_runs.ROOT / "train_main.py"
    data = ["--train-data", small_runs.corpus(), "--checkpoint-dir", run, *small_runs.SMALL, *RESUMABLE]
    for blow, code, saved in (
        ("Blow: {name: SIGTERM, step: 2}", 128 + signal.SIGTERM, "step-00000002"),
        ("Blow: {name: SIGINT, step: 5}", 128 + signal.SIGINT, "step-00000005"),
        ("KilledInSaving: {step: 6}", -signal.SIGKILL, "step-00000005"),
    ):
        given = sets(f"train.callbacks={{testing.blows:{blow}}}")
        more = sets("checkpoint.every_steps=6") if code < 0 else []
        done = launch(script, *data, *given, *more, start_new_session=True)
        assert done.returncode == code, done.stderr[-3000:]
        assert newest(run).name == saved
        if code > 0:
            assert (
                f"({signal.Signals(code - 128).name})" in done.stdout
                and "The same command goes on from there" in done.stdout
            )
            assert "Traceback" not in done.stderr
    assert (run / "checkpoints" / "step-00000006.partial").is_dir()
    done = launch(script, *data)
    assert done.returncode == 0, done.stderr[-3000:]
    assert not list((run / "checkpoints").glob("*.partial"))
    compare(run, unbroken)


def test_an_older_checkpoint_can_be_named(unbroken, tmp_path, capsys):
    run = tmp_path / "run"
    assert train(run, *RESUMABLE, *sets("checkpoint.every_steps=2", "checkpoint.keep=9")) == 0
    assert train(run, *RESUMABLE, "--resume", str(run / "checkpoints" / "step-00000002")) == 0
    assert train(run, *RESUMABLE) == 0  # from where that one ended, not from the way that was left
    compare(run, unbroken)
    assert train(run, *RESUMABLE, "--set", "audio.preset=16khz") == 2
    assert "was trained with audio.preset=22khz" in capsys.readouterr().err
    assert train(run, *RESUMABLE, "--model-size", "tiny") == 2
    assert "does not fit this run's model" in capsys.readouterr().err
    assert train(run, *RESUMABLE, "--resume", str(run)) == 2
    assert "is not a checkpoint of a run: it has no training_state.json" in capsys.readouterr().err


def test_resume_none_starts_over_and_reset_moves_the_old_run_aside(tmp_path, capsys):
    run = tmp_path / "run"
    assert train(run, "--max-steps", "2") == 0
    assert train(run, "--max-steps", "1", "--resume", "none") == 0
    assert (run / "checkpoints" / "step-00000001").is_dir()
    assert train(run, "--max-steps", "1", "--reset-training") == 0
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["run", "run.old1"]
    assert (tmp_path / "run.old1" / "checkpoints" / "step-00000002").is_dir()
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000001"]
    assert f"The old run was moved to {tmp_path / 'run.old1'}" in capsys.readouterr().out


def test_rotation_keeps_the_newest_and_the_best(tmp_path):
    run = tmp_path / "run"
    every = sets("checkpoint.every_steps=1", "checkpoint.keep=2", "train.eval_every=1")
    assert train(run, "--max-steps", "4", *every) == 0
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-00000003", "step-00000004"]
    assert (run / "best" / "model.safetensors").is_file()


# Callbacks


class ThirdParty(TrainerCallback):
    """To transformers' public API: reads args, state, control and what comes with an event, and asks for things."""

    def __init__(self):
        self.seen: list[str] = []
        self.logs: list[dict] = []

    def on_train_begin(self, args, state, control, model=None, processing_class=None, optimizer=None, **kwargs):
        assert json.loads(args.to_json_string()) == args.to_dict()
        assert args.output_dir and args.run_name and args.logging_steps == 1
        assert state.is_world_process_zero and state.global_step == 0
        assert isinstance(model, torch.nn.Module) and processing_class is not None and optimizer is not None
        self.seen.append("begin")

    def on_epoch_begin(self, args, state, control, **kwargs):
        self.seen.append("epoch")

    def on_step_end(self, args, state, control, **kwargs):
        self.seen.append(f"step {state.global_step}")
        control.should_save = state.global_step == 2
        control.should_evaluate = state.global_step == 3
        control.should_epoch_stop = state.global_step == 3
        control.should_training_stop = state.global_step == 5
        return control

    def on_save(self, args, state, control, **kwargs):
        self.seen.append(f"save {state.global_step}")

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        assert metrics["eval_mel"] > 0
        self.seen.append(f"evaluate {state.global_step}")

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append(dict(logs))

    def on_epoch_end(self, args, state, control, **kwargs):
        self.seen.append("epoch end")

    def on_train_end(self, args, state, control, **kwargs):
        self.seen.append("end")


def test_third_party_callbacks_work(tmp_path, capsys):
    callback = ThirdParty()
    rarely = sets("checkpoint.every_steps=100", "train.eval_every=100")
    assert train(tmp_path / "run", "--max-steps", "50", *rarely, callbacks=[callback, PrinterCallback()]) == 0
    assert callback.seen == [
        "begin", "epoch", "step 1", "step 2", "save 2", "step 3", "evaluate 3", "epoch end",
        "epoch", "step 4", "step 5", "end"]  # fmt: skip
    assert [log["loss"] for log in callback.logs if "loss" in log] and "'loss/mel':" in capsys.readouterr().out


def test_early_stopping_ends_the_run_and_best_holds_the_best_weights(tmp_path, capsys):
    run = tmp_path / "run"
    every = sets("checkpoint.every_steps=1", "checkpoint.keep=9", "train.eval_every=1")
    stop = sets("train.early_stopping=true", "train.patience_evaluations=3", "train.min_delta=1")
    assert train(run, "--max-steps", "9", *every, *stop) == 0
    curve = scalars(run)["eval_mel"]
    assert sorted(curve) == [1, 2, 3, 4]  # the first, and three without progress of 1
    assert "Stopping early at step 4: 3 evaluations without eval_mel falling by 1" in capsys.readouterr().out
    best = min(curve, key=curve.get)
    found, expected = (
        load_file(path / "model.safetensors") for path in (run / "best", run / "checkpoints" / f"step-{best:08d}")
    )
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert json.loads((run / "report.json").read_text())["result"]["reason"] == "early stopping"
    # The end is part of the state: the same command has nothing left to do, more patience has.
    assert newest(run).name == "step-00000004"
    assert train(run, "--max-steps", "9", *every, *stop) == 0
    assert newest(run).name == "step-00000004" and "stopped early at step 4" in capsys.readouterr().out
    assert json.loads((run / "report.json").read_text())["result"]["reason"] == "early stopping"
    assert train(run, "--max-steps", "6", *every, *stop, *sets("train.patience_evaluations=9")) == 0
    assert newest(run).name == "step-00000006"


class AtTheEnd(TrainerCallback):
    def on_train_end(self, args, state, control, model=None, **kwargs):
        self.weights = {name: weight.clone() for name, weight in model.state_dict().items()}


def test_early_stopping_ends_with_the_best_weights_in_the_model_and_saves_where_no_save_was_due(tmp_path):
    run, callback = tmp_path / "run", AtTheEnd()
    rarely = sets("checkpoint.every_steps=100", "train.eval_every=1", "train.early_stopping=true")
    patience = sets("train.patience_evaluations=2", "train.min_delta=1")
    assert train(run, "--max-steps", "9", *rarely, *patience, callbacks=[callback]) == 0
    assert newest(run).name == "step-00000003"
    best = load_file(run / "best" / "model.safetensors")
    assert all(torch.equal(callback.weights[name], weight) for name, weight in best.items())


# Losses that are not numbers


def break_steps(monkeypatch, steps) -> None:
    """The mel loss of these steps (of two micro-batches each) is NaN."""
    plain, calls = training.loop.step.loss_sums, iter(range(10_000))

    def broken(*args):
        sums = plain(*args)
        return {**sums, "mel": sums["mel"] * math.nan} if next(calls) // 2 + 1 in steps else sums

    monkeypatch.setattr(training.loop.step, "loss_sums", broken)


def test_a_loss_that_is_not_a_number_does_not_reach_the_weights(tmp_path, capsys, monkeypatch):
    break_steps(monkeypatch, {3})
    weights = {}

    class Snapshot(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            weights[state.global_step] = torch.cat([one.detach().flatten().clone() for one in model.parameters()])

    every = sets("checkpoint.every_steps=1")
    assert train(tmp_path / "run", "--max-steps", "4", *every, callbacks=[Snapshot()]) == 0
    assert torch.equal(weights[2], weights[3]) and not torch.equal(weights[3], weights[4])
    assert torch.isfinite(weights[4]).all()
    assert [path.name for path in sorted((tmp_path / "run" / "checkpoints").iterdir())] == [
        "step-00000001",
        "step-00000002",
        "step-00000004",
    ]  # none of the step that went wrong
    out = capsys.readouterr().out
    [named] = re.findall(r"^Step 3: loss nan; update skipped. Utterances: (.*)$", out, re.MULTILINE)
    assert len(named.split(", ")) == 8 and set(named.split(", ")) < {row["id"] for row in small_runs.rows()}


def test_three_in_a_row_go_back_to_the_last_checkpoint_with_half_the_rate(tmp_path, capsys, monkeypatch):
    break_steps(monkeypatch, {4, 5, 6})
    run = tmp_path / "run"
    steps = ["--max-steps", str(2 * STEPS_AN_EPOCH)]
    rates = sets("optim.schedule=constant", "optim.lr=0.001", "optim.lr_vector=0.003")
    arguments = [*steps, *sets("checkpoint.every_steps=3"), *rates]
    assert train(run, *arguments) == 0
    assert f"Rolled back to {run / 'checkpoints' / 'step-00000003'}" in capsys.readouterr().out
    shown = scalars(run)["learning_rate"]  # that of matrices
    assert shown[6] == pytest.approx(0.001) and shown[7] == shown[8] == pytest.approx(0.0005)
    groups = json.loads((newest(run) / "optimizer.json").read_text())["groups"]
    assert [group["peak_lr"] for group in groups] == pytest.approx([0.0005, 0.0015])
    assert state_of(run)["cursor"]["epoch"] == 2  # the data went on


def test_a_rate_that_leaves_no_numbers_ends_as_diverged_and_nothing_of_it_is_kept(tmp_path, capsys):
    run = tmp_path / "run"
    arguments = ["--lr", "1e38", *sets("train.eval_every=1", "checkpoint.every_steps=1", "optim.warmup_steps=0")]
    assert train(run, "--max-steps", "2", *arguments) == 2
    assert "Training diverged: at step 2" in capsys.readouterr().err
    assert not (run / "best").exists() and list((run / "checkpoints").iterdir()) == []
    assert json.loads((run / "report.json").read_text())["result"]["reason"] == "diverged"


def test_a_roll_back_passes_over_the_checkpoint_whose_own_update_did_the_harm(tmp_path, capsys):
    """Its numbers are finite and far off; the next steps show it."""
    run = tmp_path / "run"

    class Explosion(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            if state.global_step == 4:
                with torch.no_grad():
                    for weight in model.parameters():
                        weight.mul_(1e30)

    every = sets("checkpoint.every_steps=1", "checkpoint.keep=9", "train.eval_every=100")
    assert train(run, "--max-steps", "9", *every, callbacks=[Explosion()]) == 0
    out = capsys.readouterr().out
    assert f"Rolled back to {run / 'checkpoints' / 'step-00000003'}" in out and out.count("Rolled back") == 1
    assert (run / "checkpoints" / "step-00000004.aside1").is_dir()
    assert "Updates that were skipped, as their loss or gradient jumped or was no number: 3; roll-backs: 1." in out
    assert all(weight.abs().max() < 1e6 for weight in load_file(newest(run) / "model.safetensors").values())


def test_a_run_that_cannot_be_saved_ends_with_a_message(tmp_path, capsys, monkeypatch):
    break_steps(monkeypatch, range(2, 100))
    assert train(tmp_path / "run", "--max-steps", "99", *sets("train.eval_every=200")) == 2
    captured = capsys.readouterr()
    assert captured.out.count("Rolled back") == 5 and captured.out.count("update skipped") == 18
    assert "Training diverged: 5 roll-backs" in captured.err


def test_help_answers_before_torch_is_loaded(capsys):
    code = f"import sys; sys.path.insert(0, {str(small_runs.ROOT)!r}); import train_main\n"
    code += "try: train_main.main(['--help'])\nexcept SystemExit as end: assert end.code == 0\n"
    code += "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
