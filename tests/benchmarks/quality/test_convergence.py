"""What benchmarks/quality/convergence.py reads out of curves, on curves made up by hand; and one small run, watched."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.quality.level import curves
from testing.small_runs import ROOT, SMALL, corpus


def curve(*values: float, step_s: float = 10.0) -> list[dict]:
    return [{"seconds": step_s * (number + 1), "eval_mel": value} for number, value in enumerate(values)]


def test_a_speedup_is_the_time_to_the_best_of_basic_over_the_time_to_get_there():
    basic = curve(1.0, 0.8, 0.6, 0.62)
    assert curves.speedups([basic], [curve(0.9, 0.6, 0.5)], "eval_mel") == [30 / 20]
    assert curves.speedups([basic], [curve(0.9, 0.7, 0.61)], "eval_mel") == [None]
    assert curves.speedups([basic, basic], [curve(0.5), basic], "eval_mel") == [3.0, 1.0]


def test_a_gain_is_told_between_evaluations_and_turned_round_where_it_is_a_loss():
    slow, quick = curve(1.0, 0.8, 0.6), curve(0.8, 0.5, 0.4)
    # 0.6 lies two thirds of the way from the first evaluation of the quick one, at 10 s, to its second, at 20 s.
    assert curves.gain(quick, slow, "eval_mel") == pytest.approx(30 / (10 + 10 * 2 / 3))
    assert curves.gain(slow, quick, "eval_mel") == pytest.approx((10 + 10 * 2 / 3) / 30)
    assert curves.gain(slow, slow, "eval_mel") == 1.0


def test_an_evaluation_without_the_measure_is_passed_over():
    heard = [{"seconds": 10.0}, {"seconds": 20.0, "cer": 0.5}, {"seconds": 30.0}, {"seconds": 40.0, "cer": 0.2}]
    assert curves.best(heard, "cer") == 0.2
    assert curves.reached(heard, "cer", 0.3)["seconds"] == 40.0


def test_a_median_is_told_only_where_most_get_there():
    assert curves.median_and_range([3.0, 1.0, 2.0])["median"] == 2.0
    some = curves.median_and_range([3.0, None, 2.0])
    assert (some["median"], some["never"], some["least"], some["most"]) == (2.0, 1, 2.0, 3.0)
    assert curves.median_and_range([3.0, None, None])["median"] is None


def test_steadiness_counts_what_got_worse_by_more_than_two_percent():
    found = curves.steadiness(curve(1.0, 1.01, 0.5, 0.55, 0.4), "eval_mel")
    assert found["worse_evaluations"] == pytest.approx(1 / 4)
    assert found["largest_swing"] == pytest.approx(0.1)


@pytest.mark.slow
def test_a_watched_run_leaves_a_line_and_the_weights_of_each_evaluation(tmp_path):
    watched, run = tmp_path / "watched", tmp_path / "run"
    watched.mkdir()
    more = "--max-steps 3 --tracker none --set train.eval_every=1 --set train.best_metric=eval_mel".split()
    command = [sys.executable, "-m", "benchmarks.quality.level.watched", watched]
    command += ["--train-data", corpus(), "--checkpoint-dir", run, *SMALL, *more]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in (watched / "curve.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    for clock in ("seconds", "cpu_s"):
        assert 0 < lines[0][clock] < lines[1][clock] < lines[2][clock]
    assert all(line["eval_mel"] > 0 and 0 <= line["waiting_s"] <= line["seconds"] for line in lines)
    least = min(lines, key=lambda line: line["eval_mel"])["step"]
    kept, best = load_file(watched / f"step-{least:08d}.safetensors"), load_file(run / "best" / "model.safetensors")
    assert kept.keys() == best.keys() and all(torch.equal(kept[name], best[name]) for name in best)
