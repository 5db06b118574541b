"""The post-filter: what it does to a mel, how its gains are measured, and that all ways to speak have it."""

import pytest
import torch

from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.postfilter import MOST, detail, detail_gains, with_detail
from modeling.streaming import stream_mel
from modeling.synthesis import synthesise


def speech(frames: int = 200, seed: int = 0) -> torch.Tensor:
    """A log-mel [T, C] that rises and falls along both axes, with noise."""
    torch.manual_seed(seed)
    time_T1, channel_C = torch.arange(frames)[:, None] / 20, torch.arange(80) / 6
    return -4 + time_T1.sin() + channel_C.sin() + torch.randn(frames, 80)


def test_detail_is_a_channel_less_its_neighbors():
    mel_TC = speech(3)
    assert detail(mel_TC)[1, 40] == pytest.approx(float(mel_TC[1, 40] - mel_TC[1, 36:45].mean()), abs=1e-5)
    neighbors = [float(mel_TC[1, 0])] * 5 + mel_TC[1, 1:5].tolist()  # the edge goes on
    assert detail(mel_TC)[1, 0] == pytest.approx(float(mel_TC[1, 0]) - sum(neighbors) / 9, abs=1e-5)
    assert detail(torch.full((2, 5, 80), 3.0)).abs().max() < 1e-6


def test_gains_give_back_what_was_taken():
    recorded = [speech(seed=seed) for seed in range(3)]
    smooth = [mel_TC - 0.5 * detail(mel_TC) for mel_TC in recorded]
    gains_C = torch.tensor(detail_gains(recorded, smooth))
    assert gains_C.shape == (80,) and 1.5 < gains_C.min() and gains_C.max() <= MOST
    before, after = ((one - recorded[0]).abs().mean() for one in (smooth[0], with_detail(smooth[0], gains_C)))
    assert after < 0.5 * before


def test_pauses_count_for_nothing():
    recorded, smooth = speech(), speech() - 0.5 * detail(speech())
    pause = torch.full((100, 80), -11.5)
    alone, beside = detail_gains([recorded], [smooth]), detail_gains([recorded], [torch.cat((smooth, pause))])
    assert alone == pytest.approx(beside, abs=1e-5)


def test_sharper_than_the_recordings_stays_as_it_is_and_a_flat_mel_gives_no_gains():
    mel_TC = speech()
    assert detail_gains([mel_TC], [mel_TC + detail(mel_TC)]) == [1.0] * 80
    assert detail_gains([mel_TC], [torch.full((100, 80), -4.0)]) is None


def test_what_is_spoken_at_once_and_in_a_stream_is_filtered(tmp_path):
    torch.manual_seed(0)
    model = GoyaForTextToSpeech(GoyaConfig.of_size("debug", vocab_size=20, max_token_steps=4)).eval()
    ids_S, voice_V = torch.tensor([4, 5, 6, 7]), torch.zeros(model.config.voice_size)
    [plain] = synthesise(model, ids_S[None], torch.tensor([4]), voice_V[None])
    model.config.detail_gains = torch.linspace(1.0, 3.0, 80).tolist()
    model.save_pretrained(tmp_path)
    model = GoyaForTextToSpeech.from_pretrained(tmp_path).eval()
    [filtered] = synthesise(model, ids_S[None], torch.tensor([4]), voice_V[None])
    expected = with_detail(plain.mel_TC, torch.linspace(1.0, 3.0, 80))
    torch.testing.assert_close(filtered.mel_TC, expected)
    assert (expected - plain.mel_TC).abs().max() > 1e-3
    torch.testing.assert_close(torch.cat(list(stream_mel(model, ids_S, voice_V))), expected, rtol=1e-4, atol=1e-4)
