"""The post-filter: what it does to a mel, how its gains are measured, and that all ways to speak have it."""

import pytest
import torch

from inference.generation import synthesize
from inference.streaming import stream_mel
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.postfilter import MOST, TIME_SHARE, detail, measured_gains, time_detail, with_detail


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


def test_detail_along_time_is_a_frame_less_its_real_neighbors():
    mel_TC = speech(8)
    real_T1 = torch.tensor([0, 1, 1, 1, 1, 1, 1, 0], dtype=torch.bool)[:, None]  # as between a prompt and padding
    found_TC = time_detail(mel_TC[None], real_T1[None])[0]
    torch.testing.assert_close(found_TC[4], mel_TC[4] - mel_TC[2:7].mean(0))
    torch.testing.assert_close(found_TC[1], mel_TC[1] - mel_TC[1:4].mean(0))
    torch.testing.assert_close(found_TC[6], mel_TC[6] - mel_TC[4:7].mean(0))
    assert not found_TC[[0, 7]].any()


def test_gains_give_back_what_was_taken():
    recorded, every = [speech(seed=seed) for seed in range(3)], torch.ones(1, 200, 1, dtype=torch.bool)
    smooth = [mel_TC - 0.5 * detail(mel_TC) for mel_TC in recorded]
    smooth = [mel_TC - 0.4 * time_detail(mel_TC[None], every)[0] for mel_TC in smooth]
    gains_C, time_gains_C = map(torch.tensor, measured_gains(recorded, smooth))
    assert gains_C.shape == time_gains_C.shape == (80,)
    assert 1.5 < gains_C.min() and gains_C.max() <= MOST
    assert 1.05 < time_gains_C.min() and time_gains_C.max() <= 1 + TIME_SHARE * (MOST - 1)
    along_frequency = with_detail(smooth[0][None], every, gains_C, torch.ones(80))[0]
    filtered = with_detail(smooth[0][None], every, gains_C, time_gains_C)[0]
    errors = [float((one - recorded[0]).abs().mean()) for one in (smooth[0], along_frequency, filtered)]
    assert errors[2] < errors[1] < errors[0]


def test_pauses_count_for_nothing():
    recorded, smooth = speech(), speech() - 0.5 * detail(speech())
    pause = torch.full((100, 80), -11.5)
    alone, beside = measured_gains([recorded], [smooth]), measured_gains([recorded], [torch.cat((smooth, pause))])
    assert alone[0] == pytest.approx(beside[0], abs=1e-5)
    assert alone[1] == pytest.approx(beside[1], abs=0.1)  # the frames at the edge have other neighbors


def test_sharper_than_the_recordings_stays_as_it_is_and_a_flat_mel_gives_no_gains():
    mel_TC = speech()
    assert measured_gains([mel_TC], [mel_TC + detail(mel_TC)]) == ([1.0] * 80, [1.0] * 80)
    assert measured_gains([mel_TC], [torch.full((100, 80), -4.0)]) is None
    one_frame_again = mel_TC[:1].expand(100, 80)
    assert measured_gains([mel_TC], [one_frame_again]) is None


def test_what_is_spoken_at_once_and_in_a_stream_is_filtered(tmp_path):
    torch.manual_seed(0)
    model = GoyaForTextToSpeech(GoyaConfig.of_size("debug", vocab_size=20, max_token_steps=4)).eval()
    torch.nn.init.normal_(model.decoder.postnet.last.weight, std=0.1)  # not a new one's, which writes nothing
    ids_S, voice_V = torch.arange(4, 20).repeat(4), torch.zeros(model.config.voice_size)
    [plain] = synthesize(model, ids_S[None], torch.tensor([64]), voice_V[None])
    gains_C, time_gains_C = torch.linspace(1.0, 3.0, 80), torch.linspace(2.0, 1.0, 80)
    model.config.update({"detail_gains": gains_C.tolist(), "time_detail_gains": time_gains_C.tolist()})
    model.save_pretrained(tmp_path)
    model = GoyaForTextToSpeech.from_pretrained(tmp_path).eval()
    [filtered] = synthesize(model, ids_S[None], torch.tensor([64]), voice_V[None])
    every = torch.ones(1, len(plain.mel_TC), 1, dtype=torch.bool)
    expected = with_detail(plain.mel_TC[None], every, gains_C, time_gains_C)[0]
    torch.testing.assert_close(filtered.mel_TC, expected)
    beside_S = torch.tensor([4, 5])  # a shorter one in the same batch, whose end is padded
    ids_BS = torch.nn.utils.rnn.pad_sequence([ids_S, beside_S], batch_first=True)
    both = synthesize(model, ids_BS, torch.tensor([64, 2]), torch.stack([voice_V] * 2))
    [alone] = synthesize(model, beside_S[None], torch.tensor([2]), voice_V[None], first_number=1)
    torch.testing.assert_close(both[0].mel_TC, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(both[1].mel_TC, alone.mel_TC, rtol=1e-4, atol=1e-4)
    assert (expected - plain.mel_TC).abs().max() > 1e-3
    torch.testing.assert_close(torch.cat(list(stream_mel(model, ids_S, voice_V))), expected, rtol=1e-4, atol=1e-4)
