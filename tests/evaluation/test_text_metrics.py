"""Error rates against a brute-force edit distance, and what the normalization may and may not hide."""

import random
import socket
from pathlib import Path

import pytest

pytest.importorskip("rapidfuzz", reason='needs the extra: pip install -e ".[eval]"')

import evaluate

from data_pipeline.errors import UserError
from evaluation import text_metrics
from evaluation.text_metrics import character_error_rate, normalize_for_scoring, word_error_rate

METRICS = Path(text_metrics.__file__).parent


def edits(heard, said) -> int:
    """Levenshtein distance by the textbook's full table (Wagner and Fischer 1974)."""
    table = [[row + column for column in range(len(said) + 1)] for row in range(len(heard) + 1)]
    for row in range(1, len(heard) + 1):
        for column in range(1, len(said) + 1):
            change = table[row - 1][column - 1] + (heard[row - 1] != said[column - 1])
            table[row][column] = min(change, table[row - 1][column] + 1, table[row][column - 1] + 1)
    return table[-1][-1]


@pytest.mark.parametrize("name", ["cer", "wer"])
def test_metric_is_the_brute_force_corpus_rate(name):
    draw = random.Random(name)
    heard, said = (["".join(draw.choices("ab c", k=draw.randrange(15))) for _ in range(60)] for _ in range(2))
    pieces = [(h, s) if name == "cer" else (h.split(), s.split()) for h, s in zip(heard, said, strict=True)]
    expected = sum(edits(h, s) for h, s in pieces) / sum(len(s) for _, s in pieces)
    rate = evaluate.load(str(METRICS / name)).compute(predictions=heard, references=said)[name]
    assert rate == pytest.approx(expected, abs=1e-12)
    # Over the corpus, not the mean of the sentences' rates.
    assert rate != pytest.approx(sum(edits(h, s) / max(len(s), 1) for h, s in pieces) / len(pieces), abs=1e-3)


@pytest.mark.parametrize("name", ["cer", "wer"])
def test_metric_loads_without_a_network(name, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the metric asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    metric = evaluate.load(str(METRICS / name))
    assert metric.compute(predictions=["a b"], references=["a c"])[name] == {"cer": 1 / 3, "wer": 1 / 2}[name]
    with pytest.raises(ValueError, match="nothing to divide"):
        metric.compute(predictions=["a"], references=[""])


@pytest.mark.parametrize(
    ("written", "as_well"),
    [
        ("Press 1.", "press one"),
        ("Press one, two or 3!", "press 1, 2, or three"),
        ("ten thirty, please", "10:30 please"),
        ("Dial 555-1234 now", "dial five five five one two three four now"),
        ("one hundred percent", "100%"),
        ("the 2nd of May", "the second of may"),
        ("Waldo’s can't, it's five o’clock", "Waldo's can not it's 5 o'clock"),
        ("um, the   party", "THE PARTY"),
    ],
)
def test_ways_of_writing_english_count_as_equal(written, as_well):
    assert normalize_for_scoring(written) == normalize_for_scoring(as_well)
    assert character_error_rate([written], [as_well]) == 0


def test_normalization_hides_no_mistake():
    assert normalize_for_scoring("Press 1, then #!") == "press one then"
    assert character_error_rate(["press one"], ["press two"]) == pytest.approx(3 / 9)
    assert word_error_rate(["press two"], ["press 1"]) == pytest.approx(1 / 2)
    assert character_error_rate([""], ["abc"]) == 1
    assert character_error_rate(["abcabc"], ["abc"]) == 1


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("es", "¿Qué pasó? Oprima 2.", "qué pasó oprima dos"),
        ("fr", "L'été, c'est fini !", "l été c est fini"),
        ("hi", "हिन्दी।", "हिन्दी"),
        ("fa", "می\u200cخواهم، آب!", "می\u200cخواهم آب"),
    ],
)
def test_other_languages_keep_their_letters(language, text, expected):
    assert normalize_for_scoring(text, language) == expected


def test_lists_of_different_lengths_are_refused():
    with pytest.raises(UserError, match="1 texts heard against 2"):
        character_error_rate(["a"], ["a", "b"])
