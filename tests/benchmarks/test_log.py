"""benchmarks/LOG.md is read from the top: what stands today, then entries, the newest first."""

import re

from benchmarks.harness.places import ROOT

TEXT = (ROOT / "benchmarks" / "LOG.md").read_text(encoding="utf-8")
INDEX = "What stands today"


def headings(text: str) -> list[str]:
    return re.findall(r"^## (.+)$", text, re.MULTILINE)


def test_entries_are_newest_first():
    first, *entries = headings(TEXT)
    dates = [re.match(r"\d{4}-\d\d-\d\d(?=: )", entry)[0] for entry in entries]
    assert first == INDEX and len(dates) > 70 and dates == sorted(dates, reverse=True)


def test_each_line_of_the_index_ends_with_the_entry_that_it_is_of():
    index = TEXT.partition(f"## {INDEX}\n")[2].partition("\n\n")[0].splitlines()
    named = [re.fullmatch(r"- .+: .+ \(\[(\d{4}-.+)\]\(#.+\)\)", line)[1] for line in index]
    assert 20 <= len(named) == len(set(named)) <= 30 and set(named) <= set(headings(TEXT))
