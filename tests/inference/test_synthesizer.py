"""Speaking from Python: what a model cannot know is said."""

import pytest

from data_pipeline.errors import UserError
from inference.synthesizer import speak_text
from modeling.processor import GoyaProcessor


@pytest.fixture
def english(model):
    model.config.voices = {"ana-en": [0.0] * model.config.voice_size}
    model.config.max_token_steps = 3
    return model


@pytest.mark.parametrize(("text", "language", "told"), [("Hallo", "de", "not on German"), ("你好 hi", "en", "你好")])
def test_a_language_or_script_of_its_own_is_warned_of(english, text, language, told):
    with pytest.warns(UserWarning, match=told):
        wave = speak_text(english, GoyaProcessor(), text, language, vocoder="griffin_lim")
    assert len(wave)


def test_no_language_at_all_is_an_error(english):
    with pytest.raises(UserError, match=r"'xx' is no language .* it speaks English \(en\)"):
        speak_text(english, GoyaProcessor(), "Hello", "xx", vocoder="griffin_lim")
