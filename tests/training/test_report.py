"""The last lines of a run: a command that speaks the corpus' language."""

import pytest

from data_pipeline.utterance import Utterance
from training.report import something_to_say


def rows(*texts_and_languages):
    return lambda: [Utterance(str(i), text, b"", None, code) for i, (text, code) in enumerate(texts_and_languages)]


@pytest.mark.parametrize(
    ("language", "utterances", "expected"),
    [
        (None, rows(("Hola a todos", "es")), ["--language", "es", "--text", "Gracias por llamar."]),
        (None, rows(("Hola", "es"), ("Salut", "fr"), ("Hi", "en")), ["--text", "Thank you for calling."]),
        ("spanish", rows(("Hola", None)), ["--language", "es", "--text", "Gracias por llamar."]),
        ("sw", rows(("Habari \n yako", None)), ["--language", "sw", "--text", "Habari yako"]),
        (None, rows(("Demat d'an holl", "br")), ["--language", "br", "--text", "Demat d'an holl"]),
        (None, rows(("Habari yako", None)), ["--text", "Habari yako"]),
        (None, rows(), ["--text", "Thank you for calling."]),
    ],
)
def test_it_says_something_in_the_language_of_the_corpus(language, utterances, expected):
    assert something_to_say(language, utterances) == expected
