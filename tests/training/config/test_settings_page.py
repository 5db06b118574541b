"""docs/settings.md is what the fields say, and each of them says something."""

from pathlib import Path

import pytest

from training.config.described import takes, words
from training.config.fields import FIELDS, RunConfig
from training.config.settings_page import HEADINGS, page

PAGE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_the_page_is_what_the_fields_give():
    assert PAGE.read_text(encoding="utf-8") == page().rstrip() + "\n", (
        "Write it anew: python -m training.config.settings_page > docs/settings.md"
    )


def test_every_group_has_its_table():
    assert list(HEADINGS) == list(RunConfig().to_dict())
    assert [key for key in FIELDS if page().count(f"| `{key}` |") != 1] == []


@pytest.mark.parametrize("key", FIELDS)
def test_a_setting_is_described_in_one_line_that_a_table_holds(key):
    for text in (words(key), takes(key)):
        assert text.strip() == text != "" and not set("|\n") & set(text)
    assert not words(key).endswith(".")
