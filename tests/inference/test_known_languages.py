"""What a model says of texts in languages and scripts that it has not learned."""

import pytest

from data_pipeline.errors import UserError
from data_pipeline.languages import LANGUAGES
from data_pipeline.text.tokens import Vocabulary
from inference.known_languages import SCRIPTS, doubts, language_to_speak

VOICES = {"ana-es", "carl-en", "fr"}


@pytest.mark.parametrize(
    ("text", "language", "parts"),
    [
        ("Hello, señor Müller: 5 µm, 2ª.", "en", []),
        ("Hello", "en-GB", []),
        ("Hallo", "de", ["not on German (de)"]),
        ("你好，world", "en", ["another script: 你好"]),
        ("سلام دنیا", "fa", ["not on Persian (fa)", "سلام, دنیا"]),
        ("один два three четыре пять", "en", ["один, два, четыре and more"]),
        ("π is a letter", "en", []),
    ],
)
def test_doubts_name_what_the_model_knows(text, language, parts):
    told = doubts(text, language, VOICES)
    assert len(told) == (len(parts) if len(parts) < 2 else 2)
    assert all("English (en), Spanish (es), French (fr)" in one for one in told)
    assert all(part in " ".join(told) for part in parts)


def test_a_model_whose_voices_name_no_language_is_not_doubted():
    assert doubts("你好", "zh", {"default", "ana"}) == []


def test_a_language_that_has_a_token_since_the_model_was_trained_on_it_is_not_doubted():
    assert doubts("αλο", "kw", {"ana-en", "anna-kw"}) == []


def test_every_script_is_of_a_language():
    assert set(SCRIPTS) <= set(LANGUAGES)


def test_the_language_that_is_spoken():
    vocabulary = Vocabulary()
    assert language_to_speak(None, VOICES, vocabulary) == "en"
    assert language_to_speak(None, {"ana-es"}, vocabulary) == "es"
    assert language_to_speak(None, {"ana"}, vocabulary) == "en"
    assert language_to_speak("de", VOICES, vocabulary) == "de"
    with pytest.raises(UserError, match="English"):
        language_to_speak("xx", VOICES, vocabulary)
    assert language_to_speak("br", VOICES, vocabulary.grown(["<br-lang>"])) == "br"
