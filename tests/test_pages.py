"""README.md, docs/ and the log: every link leads somewhere; README.md is read in the five minutes that it promises."""

import re

import pytest

from benchmarks.harness.places import ROOT
from benchmarks.report.page_block import pages

LOG = ROOT / "benchmarks" / "LOG.md"
WORDS_IN_FIVE_MINUTES = 1500


def anchors(page) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*pages(), LOG], ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading_of_it(page):
    links = re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        path, _, anchor = link.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), link
        assert not anchor or anchor in anchors(there), link


def test_every_page_is_linked_from_the_readme():
    readme, *others = pages()
    told = readme.read_text(encoding="utf-8")
    assert others and [page.name for page in others if f"](docs/{page.name})" not in told] == []


def test_the_readme_is_read_in_five_minutes():
    assert len(pages()[0].read_text(encoding="utf-8").split()) < WORDS_IN_FIVE_MINUTES
