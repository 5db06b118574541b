"""What benchmarks/speed/step_speed.py makes of its times, and what it refuses."""

import pytest

from benchmarks.speed import step_speed


def test_the_first_version_that_git_does_not_have_is_named(tmp_path, capsys):
    assert step_speed.main(["--first", "0" * 40, "--out", str(tmp_path / "x.json")]) == 2
    assert "git fetch --unshallow" in capsys.readouterr().err


def test_a_step_of_half_the_seconds_is_twice_as_fast():
    rounds = [
        {
            step_speed.THEN: {"seconds_a_step": 0.6, "losses": [9.0] * 5 + [2.0] * 10},
            step_speed.NOW: {"seconds_a_step": 0.3, "losses": [9.0] * 5 + [1.5] * 10},
        }
    ]
    found = step_speed.figures(rounds)
    assert found["step_vs_first"]["median"] == pytest.approx(2.0)
    assert found["loss_vs_first"]["median"] == pytest.approx(0.75)
