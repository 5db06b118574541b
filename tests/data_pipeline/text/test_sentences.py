"""Where long texts are cut: at the ends of sentences, and at nothing that only looks like one."""

import pytest

from data_pipeline.text.sentences import (
    CLAUSE_PAUSE_S,
    LONGEST_CHARS,
    PARAGRAPH_PAUSE_S,
    SENTENCE_PAUSE_S,
    Sentence,
    split_sentences,
)
from data_pipeline.text.tokens import is_heard, normalize_text

# Language -> texts whose sentences are parted by " | ".
TEXTS = {
    "en": [
        "Dr. Smith paid $3.50 on Jan. 5. | He left. | Really? | Yes!",
        "Mr. and Mrs. Jones of the U.S. Army came at 10 a.m. too! | \"Really?\" she said. | Version 2.0.1 is out.",
        "Well... it works. | Well... | It works.",
        "See No. 5, J. R. Brown. | No. | I will not.",
        "(It is late.) | \"Go.\" | Call 1.800.555.1234. | Press 1.",
    ],
    "es": [
        "El Sr. López vive en la Avda. Central núm. 5. | ¿Cómo está? | ¡Bien! | Pagó 1.500,50 euros. | Y la Dra. Ruiz.",
        "«Pase.» | ¿De veras? | Sí.",
    ],
    "fr": ["M. Dupont et Mme. Durand sont là. | Le n° 5 coûte 3,50 €. | Bonjour ! | Ça va ? | Oui."],
    "it": ["Il dott. Rossi e il sig. Bianchi. | Che ora è? | Sono le 10.30. | È tardi."],
    "ru": ["А. С. Пушкин жил на ул. Мойка, т. е. в Петербурге. | Да! | Это было в 1799 г. в Москве."],
    "fa": [
        "سلام. | حال شما چطور است؟ | قیمت ۳.۵ تومان است. | خداحافظ!",
        "او در سال ۱۳۵۷ ه.ش. به دنیا آمد. | نام او م. امید بود.",
    ],
    "ar": ["مرحبا. | كيف حالك؟ | أنا بخير؛ وأنت؟ | السعر ٣٫٥ ريال."],
    "ur": ["یہ پہلا جملہ ہے۔ | یہ دوسرا ہے۔"],
    "zh": ["你好。 | 你好吗？ | 好！"],
    None: ["One two. | Three."],
}  # fmt: skip


@pytest.mark.parametrize(("language", "marked"), [(code, text) for code, texts in TEXTS.items() for text in texts])
def test_sentences_end_where_they_do(language, marked):
    parts = marked.split(" | ")
    found = split_sentences(" ".join(parts), language)
    assert [one.text for one in found] == parts
    assert [one.pause_s for one in found] == [SENTENCE_PAUSE_S] * (len(parts) - 1) + [0.0]


def test_paragraphs_are_parted_by_empty_lines_and_wrapped_by_line_ends():
    found = split_sentences("\n\nOne line\nand more. Two.\n \nThree.\n\n...\n\n", "en")
    assert found == [
        Sentence("One line and more.", SENTENCE_PAUSE_S),
        Sentence("Two.", PARAGRAPH_PAUSE_S),
        Sentence("Three.", 0.0),
    ]


@pytest.mark.parametrize("text", ["", " \n\n ", "... ?! —"])
def test_without_words_there_is_no_sentence(text):
    assert split_sentences(text, "en") == []


def test_what_is_heard_is_what_normalizing_leaves():
    for one in map(chr, [*range(0x3400), *range(0xFB00, 0xFFFF)]):
        left = any(map(str.isalnum, normalize_text(one, "en")))
        assert is_heard(one) == (left and one.isalnum()), f"U+{ord(one):04X}"


def test_dots_and_dashes_stay_with_the_sentence_before_them():
    assert [one.text for one in split_sentences("... One. — ! Two. ...", "en")] == ["One. — !", "Two. ..."]


def test_a_long_sentence_is_cut_at_a_comma_near_its_middle_else_at_a_space():
    commas = "one two three, four five six, seven eight nine, ten eleven twelve."
    assert split_sentences(commas, "en", longest=40) == [
        Sentence("one two three, four five six,", CLAUSE_PAUSE_S),
        Sentence("seven eight nine, ten eleven twelve.", 0.0),
    ]
    assert split_sentences("aaaa bbbb cccc dddd", "en", longest=10) == [
        Sentence("aaaa bbbb", 0.0),
        Sentence("cccc dddd", 0.0),
    ]
    assert [one.text for one in split_sentences("یک دو سه، چهار پنج شش", "fa", longest=12)] == [
        "یک دو سه،",
        "چهار پنج شش",
    ]


@pytest.mark.parametrize("text", ["a" * 1000, "word " * 300, "one, " * 300, "字" * 500, "Hello there. " * 100])
def test_nothing_is_too_long_and_nothing_is_lost(text):
    found = split_sentences(text, "en")
    assert max(len(one.text) for one in found) <= LONGEST_CHARS
    assert "".join(one.text for one in found).replace(" ", "") == text.replace(" ", "")
