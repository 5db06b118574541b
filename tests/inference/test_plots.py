"""The pictures are files of a sane size, on one time axis, with every token named."""

import pytest
import torch
from PIL import Image

from inference.plots import mel_and_alignment_figure, mel_and_alignment_png, staircase

FRAMES_PER_S = 22050 / 256


def test_png_is_written_small_and_not_blank(tmp_path):
    text = "one $5 and $6 more"
    mel_TC = torch.randn(200, 80)
    path = mel_and_alignment_png(
        tmp_path / "new" / "a.png",
        mel_TC,
        text=text,
        frames_per_s=FRAMES_PER_S,
        alignment_SK=torch.rand(len(text), 100),
        reference_mel_TC=torch.randn(230, 80),
        title=text,
    )
    assert path.stat().st_size < 250_000
    with Image.open(path) as picture:
        assert picture.format == "PNG" and picture.size[0] > 600
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 50


def test_letters_that_the_font_lacks_are_no_warning(tmp_path, recwarn):
    parts = {"text": "你好", "title": "你好", "frames_per_s": FRAMES_PER_S, "durations_S": torch.tensor([4, 5])}
    mel_and_alignment_png(tmp_path / "a.png", torch.randn(9, 80), **parts)
    assert [str(one.message) for one in recwarn if "Glyph" in str(one.message)] == []


def test_axes_are_in_seconds_and_characters():
    durations_S = torch.tensor([100, 2, 70])
    figure = mel_and_alignment_figure(
        torch.randn(172, 80), text=list("a b"), frames_per_s=FRAMES_PER_S, durations_S=durations_S
    )
    alignment = next(axis for axis in figure.axes if axis.get_title() == "alignment")
    assert alignment.get_xlabel() == "time (s)"
    assert alignment.get_xlim() == pytest.approx((0, 172 / FRAMES_PER_S))
    assert [label.get_text() for label in alignment.get_yticklabels()] == ["a", "\u2423", "b"]


def test_staircase_holds_each_token_for_its_duration():
    assert staircase(torch.tensor([2, 0, 1])).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_alignment_of_another_text_is_refused():
    with pytest.raises(ValueError, match="3 tokens and the text 2"):
        mel_and_alignment_figure(torch.randn(9, 80), text="ab", frames_per_s=86.0, durations_S=torch.ones(3))
    with pytest.raises(ValueError, match="either"):
        mel_and_alignment_figure(torch.randn(9, 80), text="ab", frames_per_s=86.0)
