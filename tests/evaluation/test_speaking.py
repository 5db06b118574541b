"""Which sentences are spoken."""

import itertools

from data_pipeline.utterance import Utterance
from evaluation import speaking
from evaluation.speaking import choose_sentences


def row(name: str, text: str = "three words here", language: str | None = "en") -> Utterance:
    return Utterance(name, text, b"", None, language)


def test_languages_take_turns():
    rows = [row("e1"), row("e2"), row("e3"), row("f1", language="fr")] + [row(f"s{n}", language="es") for n in (1, 2)]
    assert [one.id for one in choose_sentences(rows, 5)] == ["e1", "f1", "s1", "e2", "s2"]
    assert [one.id for one in choose_sentences(rows, 9, "es")] == ["s1", "s2"]
    assert choose_sentences([], 3) == []


def test_one_or_two_words_are_no_sentence():
    assert [one.id for one in choose_sentences([row("a", "two words"), row("b"), row("c", "")], 3)] == ["b"]


def test_where_words_have_no_spaces_between_them_letters_tell():
    texts = ["今天天气很好", "สวัสดีครับ", "谢谢", "東京へ行く"]
    chosen = choose_sentences([row(text, text, "zh") for text in texts], 9)
    assert [one.id for one in chosen] == ["今天天气很好", "สวัสดีครับ"]


def test_an_endless_corpus_is_not_read_to_its_end():
    assert len(choose_sentences((row(f"{n}") for n in itertools.count()), 3)) == 3
    few = itertools.chain((row(f"{n}", "no") for n in range(speaking.LOOKED_AT)), [row("late")])
    assert choose_sentences(few, 3) == []
