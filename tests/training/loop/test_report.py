"""The last lines of a run: a command that speaks the corpus' language."""

import pytest

from data_pipeline.utterance import Utterance
from training.loop.report import something_to_say


def rows(*texts_and_languages):
    return lambda: [Utterance(str(i), text, b"", None, code) for i, (text, code) in enumerate(texts_and_languages)]


@pytest.mark.parametrize(
    ("language", "known", "utterances", "expected"),
    [
        (None, ["es"], rows(("Hola a todos", "es")), ["--language", "es", "--text", "Gracias por llamar."]),
        (None, ["en", "es"], rows(("Hola", "es")), ["--text", "Thank you for calling."]),
        ("spanish", ["es"], rows(("Hola", "es")), ["--language", "es", "--text", "Gracias por llamar."]),
        ("sw", ["sw"], rows(("Habari \n yako", None)), ["--language", "sw", "--text", "Habari yako"]),
        (None, [], rows(("Demat d'an holl", "br")), ["--language", "br", "--text", "Demat d'an holl"]),
        (None, [], rows(("Habari yako", None)), ["--text", "Habari yako"]),
        (None, ["es", "fr"], rows(("Salut", "fr")), ["--language", "fr", "--text", "Merci de votre appel."]),
        (None, [], rows(), ["--text", "Thank you for calling."]),
    ],
)
def test_it_says_something_in_the_language_of_the_corpus(language, known, utterances, expected):
    assert something_to_say(language, known, utterances) == expected
