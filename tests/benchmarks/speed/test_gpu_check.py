"""The check of a GPU: what a CPU can do of it, and that no part hides behind another."""

import json
import math
import subprocess
import sys
import time

import pytest
import torch

from benchmarks.harness.places import ROOT
from benchmarks.speed import gpu_check
from benchmarks.speed.gpu.job import Skipped
from benchmarks.speed.gpu.without_data import PACKAGES

# As on a machine that has none of the data's packages.
BARE = """
import sys
sys.modules.update(dict.fromkeys({packages}))
from benchmarks.speed.gpu_check import main
sys.exit(main(["--device", "cpu", "--out", {out!r}]))
"""
OF_A_GPU = {"out of memory", "largest batch", "compiled", "convergence"}


def figures(found: dict) -> list:
    return [value for value in found.values() if not isinstance(value, dict)]


@pytest.mark.slow
def test_a_cpu_without_the_data_s_packages_does_all_but_what_a_gpu_is_needed_for(tmp_path):
    out = tmp_path / "gpu.json"
    program = BARE.format(packages=PACKAGES, out=str(out))
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    parts = json.loads(out.read_text(encoding="utf-8"))["parts"]
    assert list(parts) == list(gpu_check.PARTS)
    for name, one in parts.items():
        left_out = [value["skipped"] for value in one["figures"].values() if isinstance(value, dict)]
        if name in OF_A_GPU:
            assert not one["figures"] and one["skipped"].startswith("no GPU: "), name
        else:
            assert "skipped" not in one and figures(one["figures"]), name
            assert all(map(math.isfinite, figures(one["figures"]))), name
        assert all(reason.startswith(("no GPU", "the package torchao")) for reason in left_out), name
    assert parts["agreement"]["figures"]["fp32, gradient, relative error"] == 0
    assert 0 < parts["agreement"]["figures"]["bf16, gradient, relative error"] < 0.1
    assert parts["learning"]["figures"]["it learns"] is True
    assert ended.stdout.count("skipped: no GPU") >= len(OF_A_GPU)


def result(work, most_s: int = 5, left_s: float = 60) -> dict:
    bench = gpu_check.the_bench("cpu")
    return gpu_check.done(gpu_check.Part(work, most_s), bench, time.monotonic() + left_s)


def test_a_part_that_fails_keeps_its_figures_and_says_with_what():
    def out_of_memory(bench, found):
        found["first"] = 1.0
        raise torch.OutOfMemoryError("CUDA out of memory")

    one = result(out_of_memory)
    assert one["figures"] == {"first": 1.0} and one["failed"] == "OutOfMemoryError: CUDA out of memory"
    table = gpu_check.table({"machine": "m", "torch": "t", "device": "d", "parts": {"steps": one}})
    assert "failed: OutOfMemoryError: CUDA out of memory" in table


def test_a_part_that_hangs_is_ended():
    def hangs(bench, found):
        while True:
            found["rounds"] = 1

    assert result(hangs, most_s=1)["failed"] == "not done after 1 s"


def test_what_this_machine_cannot_have_and_what_time_does_not_suffice_for_is_skipped():
    def needs_gpu(bench, found):
        bench.wants_gpu("why")

    assert result(needs_gpu)["skipped"] == "no GPU: why"
    assert result(needs_gpu, left_s=3.5)["skipped"] == "3 s were left, of the 5 that it wants"
    with pytest.raises(Skipped):
        gpu_check.the_bench("cpu").wants_gpu("why")
