"""When speech is judged, what that may cost, and where the figures go; and whole runs whose best it decides."""

import json
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pyarrow.parquet
import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerControl, TrainerState

import evaluation.quality
import inference.vocoders.registry
import training.setup.best_metric
from callbacks.quality_eval import QualityEval
from inference.vocoders.griffin_lim import GriffinLim
from testing import small_runs
from testing.blows import ToldToStop
from testing.small_runs import ROOT, assert_equal_ends, launch, newest, scalars, train
from training.loop.eval_weights import EvalWeights

pytestmark = pytest.mark.slow


class Judge:
    """A judge whose every answer is a second of a clock that only it moves, and an error rate given to it."""

    def __init__(self, clock, cer: float | None = 0.5, takes_s: float = 1.0):
        self.clock, self.cer, self.takes_s = clock, cer, takes_s
        self.sentences, self.listens, self.recognized = [None] * 10, cer is not None, 10

    def __call__(self, model, processor) -> dict[str, float]:
        self.clock.now += self.takes_s
        return {"never": 0.0} | ({"cer": self.cer, "cer_standard_error": 0.04} if self.listens else {})


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    return clock


def evaluations(clock, judge: Judge, steps: range, step_s: float = 1.0, **more) -> tuple[dict, dict]:
    """(what was logged, what each evaluation's metrics hold) of a run evaluated at each of `steps`."""
    logged, metrics = {}, {}
    trackers = SimpleNamespace(log=lambda logs, step: logged.update({step: logs}))
    accelerator = SimpleNamespace(num_processes=1, is_main_process=True)
    options = {"every_steps": 10, "decides": True, "stretches": False} | more
    callback = QualityEval(
        accelerator, EvalWeights(accelerator, torch.nn.Linear(1, 1), None), trackers, judge, **options
    )
    state = TrainerState(max_steps=steps[-1], is_world_process_zero=True)
    callback.on_train_begin(None, state, None)
    for step in steps:
        clock.now += step_s * steps.step
        state.global_step, metrics[step] = step, {}
        callback.on_evaluate(None, state, TrainerControl(), metrics=metrics[step])
    return logged, metrics


def test_speech_is_judged_once_an_interval_and_at_the_end_and_not_before_the_first_has_passed(clock):
    logged, metrics = evaluations(clock, Judge(clock), range(4, 36, 4), step_s=100)
    assert list(logged) == [12, 20, 32]  # 4 and 8 lie before 10, 24 and 28 between 20 and 30
    figures = {"never": 0.0, "cer": 0.5, "cer_standard_error": 0.04, "seconds": 1.0}
    assert logged[12] == {f"quality/{name}": value for name, value in figures.items()}
    assert metrics[12] == {"eval_quality_cer": 0.5, "eval_quality_cer_standard_error": 0.04} and metrics[8] == {}


def test_an_error_rate_above_one_counts_as_one_and_none_is_left_out(clock):
    assert evaluations(clock, Judge(clock, cer=1.7), range(5, 6))[1][5]["eval_quality_cer"] == 1.0
    assert evaluations(clock, Judge(clock, cer=None), range(5, 6))[1] == {5: {}}


def test_a_run_bound_by_the_clock_gives_it_a_twentieth_of_its_time(clock):
    begun_at = clock.now
    logged, _ = evaluations(clock, Judge(clock, takes_s=4.0), range(10, 1000, 10), stretches=True)
    assert sum(one["quality/seconds"] for one in logged.values()) <= 0.05 * (clock.now - begun_at)
    assert 10 < len(logged) < 14 and list(logged)[-1] == 990


def test_a_run_of_steps_goes_by_steps_and_says_what_it_costs(clock, capsys):
    logged, _ = evaluations(clock, Judge(clock, takes_s=4.0), range(10, 1000, 10))
    assert list(logged) == list(range(10, 1000, 10))
    assert capsys.readouterr().out.count("Judging speech takes 29% of the time; --set log.quality_every=40") == 1


def test_of_an_interval_of_one_step_each_step_is_judged(clock):
    assert list(evaluations(clock, Judge(clock), range(1, 6), every_steps=1)[0]) == [1, 2, 3, 4, 5]


def test_what_it_costs_is_told_once_its_recognizer_is_loaded_however_short_the_run_is(clock, capsys):
    class Loading(Judge):
        def __call__(self, model, processor) -> dict[str, float]:
            figures = super().__call__(model, processor)
            self.takes_s = 0.02
            return figures

    evaluations(clock, Loading(clock, takes_s=0.5), range(10, 40, 10), step_s=0.01)
    assert capsys.readouterr().out.count("Judging speech takes 72% of the time") == 1


# Whole runs


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """The small corpus with ten English sentences held out."""
    path = tmp_path_factory.mktemp("english")
    (path / "train.parquet").write_bytes((small_runs.corpus() / "train.parquet").read_bytes())
    table = pyarrow.parquet.read_table(small_runs.DEMO / "heldout.parquet")
    rows = [row for row in table.to_pylist() if row["language"] == "en" and len(row["text"].split()) >= 3]
    shortest = sorted(rows, key=lambda row: row["duration_s"])[:10]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(shortest, schema=table.schema), path / "validation.parquet")
    return path


@pytest.fixture
def listen(monkeypatch):
    """Has a run's speech heard by a function of ours: (wave, rate) -> text."""
    pytest.importorskip("rapidfuzz", reason='needs the extra: pip install -e ".[eval]"')

    def by(recognize) -> None:
        monkeypatch.setattr(evaluation.quality, "load_recognizer", lambda language="en": recognize)

    # Nobody listens.
    monkeypatch.setattr(evaluation.quality, "opinion", lambda waves, rate: {})
    monkeypatch.setattr(inference.vocoders.registry, "fitting_vocoder", lambda audio_config: GriffinLim.name)
    monkeypatch.setattr(GriffinLim, "iterations", 1)
    for module in (evaluation.quality, training.setup.best_metric):
        monkeypatch.setattr(module, "can_recognize", lambda: True)
    return by


def sets(*assignments: str) -> list[str]:
    return [word for assignment in assignments for word in ("--set", assignment)]


JUDGED = sets("train.eval_every=1", "log.quality_every=1", "log.quality_sentences=10")


def test_the_best_checkpoint_and_the_end_follow_the_speech_and_not_the_mel(corpus, tmp_path, listen, capsys):
    texts = [row["text"] for row in pyarrow.parquet.read_table(corpus / "validation.parquet").to_pylist()]
    heard = iter([""] * 10 + texts + [""] * 60)  # of the second evaluation all is understood
    listen(lambda wave, rate: next(heard))
    run, kept = tmp_path / "run", sets("checkpoint.every_steps=1", "checkpoint.keep=9")
    stop = sets("train.early_stopping=true", "train.patience_evaluations=2")
    arguments = ["--train-data", str(corpus), "--max-steps", "9", *JUDGED, *kept, *stop]
    assert train(run, *arguments) == 0
    curves = scalars(run)
    assert curves["quality/cer"] == {1: 1.0, 2: 0.0, 3: 1.0, 4: 1.0}
    assert min(curves["eval_mel"], key=curves["eval_mel"].get) != 2
    assert {"quality/duration_ratio", "quality/ended_early", "quality/never", "quality/seconds"} < curves.keys()
    best, second = (load_file(path / "model.safetensors") for path in (run / "best", run / "checkpoints/step-00000002"))
    assert all(torch.equal(best[name], second[name]) for name in second)
    out = capsys.readouterr().out
    assert "chosen by the character error rate of speech (quality_cer): 10 held-out sentences" in out
    assert "Stopping early at step 4: 2 evaluations without eval_quality_cer falling" in out
    assert (
        "best (step 2, the latest within a standard error of the lowest character error rate while training, 0.0%)"
        in out
    )


def test_a_run_that_is_cut_short_goes_on_to_the_same_best(corpus, tmp_path, listen):
    letters = "thank you for calling please hold"
    listen(lambda wave, rate: letters[: int(1e4 * wave.abs().mean()) % len(letters)])  # chance, but of the weights
    one, other = tmp_path / "one", tmp_path / "other"
    arguments = ["--train-data", str(corpus), "--max-steps", "6", *JUDGED, *sets("log.quality_every=2")]
    assert train(one, *arguments) == 0
    for step in (2, 5):
        assert train(other, *arguments, callbacks=[ToldToStop(step)]) == 128 + signal.SIGTERM
    assert train(other, *arguments) == 0
    assert scalars(one)["quality/cer"] == scalars(other)["quality/cer"]
    assert sorted(scalars(one)["quality/cer"]) == [2, 4, 6]
    assert_equal_ends(one, other)
    ends = [json.loads((newest(run) / "training_state.json").read_text())["trainer"] for run in (one, other)]
    assert (
        ends[0]["best_global_step"] == ends[1]["best_global_step"] and ends[0]["best_metric"] == ends[1]["best_metric"]
    )
    best = [load_file(run / "best" / "model.safetensors") for run in (one, other)]
    assert all(torch.equal(best[0][name], best[1][name]) for name in best[0])


def test_a_run_that_changes_its_metric_chooses_anew(corpus, tmp_path, listen):
    listen(lambda wave, rate: "")
    arguments = ["--train-data", str(corpus), *JUDGED]
    assert train(tmp_path / "run", *arguments, "--max-steps", "1", *sets("train.best_metric=eval_mel")) == 0
    assert train(tmp_path / "run", *arguments, "--max-steps", "2") == 0
    saved = json.loads((newest(tmp_path / "run") / "training_state.json").read_text())
    assert saved["best_by"] == "eval_quality_cer"
    assert saved["trainer"]["best_metric"] == 1.0 and saved["trainer"]["best_global_step"] == 2


def test_too_few_english_sentences_leave_the_mel_to_decide(tmp_path, listen, capsys):
    arguments = ["--max-steps", "1", *sets("log.quality_sentences=10")]
    assert train(tmp_path / "run", *arguments) == 0  # the small corpus holds Spanish and French ones out
    assert "quality/duration_ratio" in scalars(tmp_path / "run") and "quality/cer" not in scalars(tmp_path / "run")
    assert "by the validation mel loss (eval_mel)" in capsys.readouterr().out
    assert train(tmp_path / "other", *arguments, *sets("train.best_metric=quality_cer")) == 2
    assert "0 English sentences of three words or more can be judged; expected 10" in capsys.readouterr().err


def test_two_ranks_take_what_the_main_one_heard(corpus, tmp_path):
    pytest.importorskip("rapidfuzz", reason='needs the extra: pip install -e ".[eval]"')
    stop = sets("train.early_stopping=true", "train.patience_evaluations=1", "train.min_delta=0")
    arguments = ["--train-data", corpus, "--checkpoint-dir", tmp_path / "run", *small_runs.SMALL, *JUDGED, *stop]
    script = ROOT / "tests" / "distributed" / "quality_ranks.py"
    done = launch(script, *arguments, "--max-steps", "9", "--grad-accum", "1", processes=2)
    assert done.returncode == 0, done.stderr[-3000:]
    told = sorted(line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith("rank "))
    curves = scalars(tmp_path / "run")
    curve, errors = curves["quality/cer"], curves["quality/cer_standard_error"]
    lowest = min(curve, key=curve.get)
    assert max(curve) == lowest + 1 < 9  # one evaluation without a lower one
    best = max(step for step in curve if curve[step] <= curve[lowest] + errors[step])
    assert len(told) == 2 and told[0] == told[1] == f"best {told[0].split()[1]} at {best}, ended at {lowest + 1}"
    assert float(told[0].split()[1]) == pytest.approx(curve[lowest])
