"""The harness of crashes.py, small: a run that is killed in the middle of saving ends as if nothing was."""

import json
import subprocess
import sys

import pytest

from testing.small_runs import ROOT

pytestmark = pytest.mark.slow


@pytest.mark.skipif(sys.platform != "linux", reason="forks, and tells a child's end by its pidfd")
def test_runs_that_are_killed_while_they_save_end_bit_equal(tmp_path):
    out = tmp_path / "crashes.json"
    blows = "--kills 3 --sigterms 1 --steps 6 --lanes 1 --aim saving rotating best --with steps".split()
    command = [
        sys.executable,
        "-m",
        "benchmarks.reliability.crashes",
        *blows,
        "--work",
        tmp_path / "work",
        "--out",
        out,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(out.read_text())["figures"]
    assert figures["kills"] >= 3 and figures["sigterms"] >= 1
    by_phase = figures["by_phase"]["SIGKILL"]
    assert sum(by_phase[phase] for phase in ("saving", "rotating", "best")) == figures["kills"]
    assert figures["resumes"] == figures["resumes_bit_equal"] >= 4 and figures["checkpoints_unreadable"] == 0
