"""Every figure of README.md and docs/ is its json's, of a commit without changes, and beside what was installed."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.harness.command_line import read_json
from benchmarks.harness.fresh_install import first_command
from benchmarks.harness.provenance import is_clean
from benchmarks.report import page_block, pages
from benchmarks.report.page_block import INSTALLED_SINCE, ROOT

MARKED = re.compile(r"<!-- (\w+):begin -->\n(.*?)\n<!-- \1:end -->", re.DOTALL)
BLOCKS = {name: text for page in page_block.pages() for name, text in MARKED.findall(page.read_text(encoding="utf-8"))}


def quoted(text: str) -> set[str]:
    """The results that a text takes figures from; it may name others as measured with uncommitted changes."""
    lines = [line for line in text.splitlines() if "uncommitted changes" not in line]
    return set(re.findall(r"\]\((?:\.\./)?benchmarks/results/(\w+)\.json\)", "\n".join(lines)))


NAMES = sorted(set().union(*map(quoted, BLOCKS.values())))
QUOTED = {name: read_json(pages.RESULTS / f"{name}.json") for name in NAMES}


def found(result, key: str) -> list:
    """Every value of a key, however deep."""
    below = result.values() if isinstance(result, dict) else result if isinstance(result, list) else ()
    here = [result[key]] if isinstance(result, dict) and key in result else []
    return here + [value for one in below for value in found(one, key)]


def written_otherwise(root: Path, tmp_path: Path) -> list[str]:
    """The blocks of the pages in `root` that are not what the results give."""
    (tmp_path / "docs").mkdir(parents=True)
    for page in page_block.pages(root):
        shutil.copy(page, tmp_path / page.relative_to(root))
    differing = []
    for name, make in pages.BLOCKS.items():
        before = {page: page.read_bytes() for page in page_block.pages(tmp_path)}
        page_block.put(name, make(pages.RESULTS), tmp_path)
        differing += [name] * any(page.read_bytes() != text for page, text in before.items())
    return differing


def test_every_block_is_what_its_results_give(tmp_path):
    assert set(BLOCKS) == set(pages.BLOCKS)
    assert written_otherwise(ROOT, tmp_path / "again") == [], "run python -m benchmarks.report.pages"


@pytest.mark.parametrize("name", ["headline", "main_job", "speed"])
def test_a_number_that_is_typed_by_hand_is_noticed(name, tmp_path):
    copy = tmp_path / "copy"
    (copy / "docs").mkdir(parents=True)
    for page in page_block.pages():
        text = page.read_text(encoding="utf-8")
        if f"<!-- {name}:begin -->" in text:
            before, marks, block = text.partition(f"<!-- {name}:begin -->")
            text = before + marks + re.sub(r"\| (\d+)", lambda digits: f"| {int(digits[1]) + 1}", block, count=1)
        (copy / page.relative_to(ROOT)).write_text(text, encoding="utf-8")
    assert written_otherwise(copy, tmp_path / "again") == [name]


@pytest.mark.parametrize("name", QUOTED)
def test_what_is_quoted_was_measured_of_a_commit(name):
    commits = found(QUOTED[name], "commit")
    assert is_clean(QUOTED[name]) and commits
    assert [one for one in commits if not re.fullmatch(r"[0-9a-f]{40}", one)] == []
    shallow = subprocess.run(["git", "rev-parse", "--is-shallow-repository"], cwd=ROOT, text=True, capture_output=True)
    if shallow.stdout.strip() == "false":  # a copy without history does not know
        for one in commits:
            assert subprocess.run(["git", "merge-base", "--is-ancestor", one, "HEAD"], cwd=ROOT).returncode == 0, one


@pytest.mark.parametrize("block", [name for name, text in BLOCKS.items() if quoted(text)])
def test_a_block_says_what_was_installed(block):
    for name in quoted(BLOCKS[block]):
        assert page_block.installed(QUOTED[name]) in BLOCKS[block], name


@pytest.mark.parametrize("name", QUOTED)
def test_results_of_today_know_what_was_installed(name):
    if max(found(QUOTED[name], "date")) >= INSTALLED_SINCE:
        assert page_block.installed(QUOTED[name]) != page_block.installed({})


def test_a_block_without_figures_of_a_result_quotes_none_that_was_measured():
    """Only what training/config/levels.py says, and what had uncommitted changes, stands without a result."""
    without = {name for name, text in BLOCKS.items() if not quoted(text)}
    noted = {name for name in without if BLOCKS[name].startswith("Not quoted: ") and "\n" not in BLOCKS[name]}
    assert without - noted == {"levels"}


def test_the_first_command_s_figures_are_of_the_first_command():
    results = QUOTED["main_job"]
    if "installed" in results:
        commands = first_command((ROOT / "README.md").read_text(encoding="utf-8"))
        assert commands == (results["installed"]["command"], results["command"])


def test_what_was_measured_with_uncommitted_changes_is_not_quoted():
    result = {"figures": {"x": 0.123}, "runs": {"a": {"commit": "a" * 40 + " with uncommitted changes"}}}
    told = page_block.quoted(result, "ranks", lambda result: str(result["figures"]["x"]))
    assert "0.123" not in told and "uncommitted" in told and quoted(told) == set()
    clean = {"figures": {"x": 0.123}, "runs": {"a": {"commit": "a" * 40}}}
    assert page_block.quoted(clean, "ranks", lambda result: str(result["figures"]["x"])) == "0.123"
