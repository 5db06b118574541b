"""What benchmarks/quality/fast_convergence.py reads out of pairs of runs, on curves made up by hand."""

import pytest

from benchmarks.quality import fast_convergence
from benchmarks.report import improvements


def made(level: str, seed: int, *points: tuple[float, float, float]) -> dict:
    curve = [{"seconds": seconds, "eval_mel": mel, "cer": cer} for seconds, mel, cer in points]
    return {"level": level, "seed": seed, "commit": "abc", "date": "2026-01-02T03:04:05", "curve": curve}


RUNS = {
    "enhanced-1": made("enhanced", 1, (60, 0.9, 0.9), (120, 0.8, 0.6), (180, 0.7, 0.4)),
    "enhanced-fast-1": made("enhanced", 1, (60, 0.8, 0.45), (120, 0.7, 0.3), (180, 0.6, 0.2)),
    "experimental-1": made("experimental", 1, (60, 0.7, 0.9)),  # its pair has not run yet
    "basic-1": made("basic", 1, (60, 1.0, 1.0), (120, 0.9, 1.0)),
    "basic-fast-1": made("basic", 1, (60, 1.1, 1.0), (120, 1.0, 1.0)),
}


def test_each_run_is_compared_with_the_same_seed_without_the_overlay():
    found = fast_convergence.figures(RUNS)
    assert found["gain_enhanced_mel"]["median"] == pytest.approx(180 / 120)
    assert found["gain_basic_mel"]["median"] == pytest.approx(60 / 120)  # in the way
    assert (found["intelligible_s_enhanced"]["median"], found["intelligible_s_enhanced_fast"]["median"]) == (180, 60)
    assert found["cer_enhanced_fast"]["median"] == 0.2 and found["mel_basic_fast"]["median"] == 1.0
    assert found["intelligible_s_basic"] == {"median": None, "never": 1, "of": 1}
    assert not any("experimental" in name for name in found)


def test_the_summary_has_a_column_for_each_level_that_was_run_both_ways():
    result = {"machine": "a CPU", "setting": {"minutes": 3.0}, "runs": RUNS}
    told = improvements.overlaid(result | {"figures": fast_convergence.figures(RUNS)})
    assert "|  | basic | enhanced |" in told
    assert "| seconds to a CER of 50% | never, in 1 of 1 | 180 (180 to 180) |" in told
    assert "never" in fast_convergence.table(result | {"figures": fast_convergence.figures(RUNS)})
