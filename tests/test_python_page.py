"""docs/python.md: every example runs, in the order of the page, in one process."""

import re
from pathlib import Path

import pytest

from testing import small_runs
from testing.small_runs import launch

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
AGREES = """
import torch
chunks = list(synthesizer.stream("I can hear you at once. And I go on.", options))
whole_N = synthesizer.speak("I can hear you at once. And I go on.", options)
streamed_N = torch.cat(chunks)
assert len(chunks) > 1 and streamed_N.shape == whole_N.shape
assert torch.cosine_similarity(streamed_N, whole_N, dim=0) > 0.99
"""


def test_every_example_runs(tmp_path):
    run, done = small_runs.trained_run()
    assert done.returncode == 0, done.stderr[-3000:]
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(examples) == 5
    examples.insert(2, AGREES)  # after the one that streams
    code = "\n".join(examples).replace("runs/demo_corpus_tiny_enhanced", str(run))
    code = code.replace('"assets/', f'"{ROOT}/assets/').replace(
        '["--debug"', f'["--debug", "--train-data", "{small_runs.corpus()}"'
    )
    script = tmp_path / "page.py"
    script.write_text(code + "\nassert code == 0 and len(curve.mel) == 3\n", encoding="utf-8")
    done = launch(script)
    assert done.returncode == 0, done.stderr[-3000:]
