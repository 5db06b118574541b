"""What benchmarks/speed/ranks.py makes of its times, and what it refuses."""

import os
import subprocess
import sys

import pytest

from benchmarks.harness.places import ROOT
from benchmarks.speed import ranks


def took(alone: float, together: float, unreduced: float, beside: float, reduce_s: float) -> dict:
    seconds = {ranks.ALONE: alone, ranks.TOGETHER: together, ranks.UNREDUCED: unreduced, ranks.BESIDE: beside}
    found = {way: {"seconds_a_step": one} for way, one in seconds.items()}
    found[ranks.TOGETHER]["all_reduce_s"] = reduce_s
    return found


def test_two_ranks_that_take_as_long_as_one_are_twice_as_fast():
    found = ranks.figures([took(0.4, 0.4, 0.4, 0.4, 0.02)])
    assert found["ranks_2_vs_1"]["median"] == pytest.approx(2.0)
    assert found["two_runs_vs_1"]["median"] == pytest.approx(2.0)
    assert found["all_reduce_hidden"]["median"] == pytest.approx(1.0)


def test_what_the_all_reduce_adds_is_not_hidden_and_each_round_is_a_ratio_of_its_own():
    found = ranks.figures([took(0.4, 0.5, 0.48, 0.44, 0.05), took(0.8, 1.0, 0.95, 0.88, 0.05)])
    assert found["ranks_2_vs_1"] == pytest.approx({"median": 1.6, "least": 1.6, "most": 1.6})
    assert found["all_reduce_shown_ms"] == pytest.approx({"median": 35.0, "least": 20.0, "most": 50.0})
    assert found["all_reduce_hidden"] == pytest.approx({"median": 0.3, "least": 0.0, "most": 0.6})


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="a process cannot be kept to one core here")
def test_one_core_is_refused_with_a_word():
    code = f"import os, runpy, sys; os.sched_setaffinity(0, [{min(os.sched_getaffinity(0))}]); sys.argv = ['ranks'];"
    code += "runpy.run_module('benchmarks.speed.ranks', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True)
    assert done.returncode == 2 and "expected two, one for each rank" in done.stderr
