"""What "auto" comes to before the data is read, with the reason in the first table."""

import importlib.util
import math
import re

import pytest

from data_pipeline.errors import UserError
from training.config.arguments import parse
from training.config.resolve import table
from training.setup import best_metric


def test_what_is_no_number_is_never_the_best():
    assert not best_metric.is_best(math.nan, None, 0.0) and not best_metric.is_best(math.inf, None, 0.0)
    assert best_metric.is_best(1.0, None, 0.0)


@pytest.mark.parametrize(
    ("installed", "arguments", "row"),
    [
        (True, [], "auto *quality_cer, with 10 English validation sentences or more; else eval_mel"),
        (False, [], r'eval_mel *to judge speech instead: pip install -e "\.\[eval\]"'),
        (True, ["--set", "log.quality_sentences=0"], "eval_mel *log.quality_sentences is 0"),
        (True, ["--debug"], "eval_mel *log.quality_sentences is 0"),
        (True, ["--set", "train.best_metric=quality_cer"], "quality_cer *--set"),
    ],
)
def test_the_table_says_what_decides_and_why(installed, arguments, row, monkeypatch):
    monkeypatch.setattr(best_metric, "can_recognize", lambda: installed)
    config, provenance, _ = parse(["--device", "cpu", *arguments])
    assert re.search(f"^best checkpoint by +{row}", table(config, provenance), re.MULTILINE)


def test_what_cannot_be_had_is_an_error(monkeypatch):
    asked = ["--device", "cpu", "--set", "train.best_metric=quality_cer"]
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda name: None)
        assert not best_metric.can_recognize()
    monkeypatch.setattr(best_metric, "can_recognize", lambda: False)
    with pytest.raises(UserError, match=r'not installed: run pip install -e "\.\[eval\]"'):
        parse(asked)
    monkeypatch.setattr(best_metric, "can_recognize", lambda: True)
    with pytest.raises(UserError, match="log.quality_sentences is 9; expected 10"):
        parse([*asked, "--set", "log.quality_sentences=9"])


def test_the_latest_within_a_standard_error_of_the_lowest_is_the_best():
    assert best_metric.is_best(0.9, None, 0.0)
    assert best_metric.is_best(0.5, 0.5, 0.0) and not best_metric.is_best(0.51, 0.5, 0.0)
    assert best_metric.is_best(0.172, 0.17, 0.04) and not best_metric.is_best(0.22, 0.17, 0.04)
