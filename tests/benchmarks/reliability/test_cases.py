"""Each fault that users listed and that is called mended names a test that is there."""

import ast

import pytest

from benchmarks.harness.command_line import read_json
from benchmarks.report.reliability_figures import CASES
from testing.small_runs import ROOT

MENDED = [case for case in read_json(CASES)["cases"] if case["state"] == "mended"]


@pytest.mark.parametrize("case", MENDED, ids=lambda case: case["case"][:40])
def test_the_test_of_a_mended_fault_exists(case):
    path, _, name = case["test"].partition("::")
    names = {one.name for one in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(one, ast.FunctionDef)}
    assert not name or name.partition("[")[0].rpartition("::")[2] in names
