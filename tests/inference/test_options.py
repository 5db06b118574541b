"""How a text is spoken is checked once, for whoever asks."""

import pytest

from data_pipeline.errors import UserError
from inference.options import SpeechOptions


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"reference": "a.wav", "voice": "ana"}, "Both --reference and --voice were given"),
        ({"reference_text": "hello"}, "--reference-text says what one clip says, and there are 0"),
        ({"reference": ["a.wav", "b.wav"], "reference_text": "hello"}, "and there are 2; give one --reference"),
        ({"speed": 0.2}, "--speed is 0.2; expected 0.25 to 4"),
        ({"speed": float("nan")}, "--speed is nan; expected 0.25 to 4"),
        ({"seed": -1}, "--seed is -1; expected 0 or more"),
    ],
)
def test_what_does_not_go_together_or_is_out_of_range_is_an_error(fields, told):
    with pytest.raises(UserError, match=told):
        SpeechOptions(**fields)


def test_one_clip_may_stand_alone():
    assert SpeechOptions(reference="a.wav", reference_text="hello").clips == ["a.wav"]
    assert SpeechOptions(reference=("a.wav", "b.wav")).clips == ["a.wav", "b.wav"]
    assert SpeechOptions().clips == []
