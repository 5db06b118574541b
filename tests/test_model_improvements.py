"""What is said of the levels: enhanced learns faster than basic, live; and the summary says what was measured."""

import json
import shutil

from benchmarks.report import headline, improvements, page_block
from testing.small_runs import DEMO, ROOT, forget_accelerator
from train_main import main

UTTERANCES = 256  # that each level learns from
BATCH = 4


def validation_mel(run, level: str, grad_accum: int) -> float:
    forget_accelerator()
    steps = UTTERANCES // (BATCH * grad_accum)
    arguments = f"--model-size debug --device cpu --mixed-precision no --batch-size {BATCH} --num-workers 0 --seed 1 "
    arguments += f"--optimization-level {level} --max-steps {steps} --tracker none --set train.cpu_threads=1 "
    arguments += "--set log.samples=0 --set log.quality_sentences=0 --set train.eval_every_share=1.0"
    assert main([*arguments.split(), "--train-data", str(DEMO), "--checkpoint-dir", str(run)]) == 0
    report = json.loads((run / "report.json").read_text())
    assert report["config"]["train"]["grad_accum"] == grad_accum and report["result"]["steps"] == steps
    return report["result"]["best_metric"]


def test_enhanced_passes_basic_on_the_same_utterances(tmp_path):
    """Far apart at every size: after 10 minutes of size tiny, too (benchmarks/results/convergence.json)."""
    basic = validation_mel(tmp_path / "basic", "basic", 16)
    enhanced = validation_mel(tmp_path / "enhanced", "enhanced", 2)
    assert enhanced < 0.9 * basic, (enhanced, basic)


def test_the_summary_and_the_pages_say_what_the_levels_are_and_what_was_measured(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "docs").mkdir()
    for page in page_block.pages():
        shutil.copy(page, tmp_path / page.relative_to(ROOT))
    assert improvements.main(["--into", str(tmp_path)]) == 0
    for name in (improvements.SUMMARY, "docs/training.md", "docs/measured.md"):
        assert (tmp_path / name).read_text() == (ROOT / name).read_text(), (
            "run python -m benchmarks.report.improvements"
        )
    assert headline.main(["--into", str(tmp_path)]) == 0
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text(), (
        "run python -m benchmarks.report.headline"
    )
    assert (ROOT / improvements.PICTURE).is_file()
