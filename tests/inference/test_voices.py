"""In whose voice a model speaks."""

import pytest
import torch

from data_pipeline.errors import UserError
from inference.voices import voice_for
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech


@pytest.fixture(scope="module")
def model() -> GoyaForTextToSpeech:
    torch.manual_seed(0)
    voices = {"anna-en": [1.0] * 144, "anna-fr": [2.0] * 144, "ben-en": [3.0] * 144, "es": [4.0] * 144}
    return GoyaForTextToSpeech(GoyaConfig.of_size("debug", voices=voices, max_token_steps=3))


@pytest.mark.parametrize(("speaker", "language", "value"), [
    ("anna", "fr", 2.0),
    ("ben", "en", 3.0),
    ("ben", "fr", 3.0),  # of another language, rather than of another person
    (None, "en", 1.0),
    (None, "es", 4.0),
    (None, "fa", 1.0),
    (None, None, 1.0),
])  # fmt: skip
def test_a_voice_is_of_the_speaker_else_of_the_language_else_any(model, speaker, language, value):
    assert voice_for(model, speaker, language)[0] == value


def test_an_unknown_speaker_is_an_error_and_no_voice_at_all_the_middle(model):
    with pytest.raises(UserError, match="no voice 'nobody'; it knows: anna-en, anna-fr, ben-en, es"):
        voice_for(model, "nobody", "en")
    without = GoyaForTextToSpeech(GoyaConfig.of_size("debug"))
    assert not voice_for(without, None, "en").any()
