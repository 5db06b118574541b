"""Level and spectrum of speech, against loops over frames."""

import numpy as np
import pytest
import torch

from data_pipeline.batching.features import FeatureMaker
from data_pipeline.recordings.audio import AudioConfig, decode_audio
from data_pipeline.recordings.speech import LEVEL_DB, normalize_loudness, speech_spectrum
from data_pipeline.utterance import Samples, Utterance

RATE_HZ = 22_050


def level_db(wave: np.ndarray) -> float:
    """Of the 20 ms that are no more than 20 dB below what one in twenty is above, which none counts for more than."""
    powers = [np.mean(np.square(wave[start : start + 441])) for start in range(0, len(wave), 441)]
    loud = np.percentile(powers, 95)
    return 10 * np.log10(np.mean([min(power, loud) for power in powers if power >= loud / 100]))


@pytest.mark.parametrize("gain", [1.0, 0.01, 30.0])
def test_speech_is_brought_to_one_level(recordings, gain):
    for row in recordings[:5]:
        wave = decode_audio(row["audio"]["bytes"], RATE_HZ)
        assert level_db(normalize_loudness(wave * np.float32(gain), RATE_HZ)) == pytest.approx(LEVEL_DB, abs=1e-3)


def test_pauses_and_length_do_not_change_the_level():
    tone = np.sin(np.arange(4410) * 0.1).astype(np.float32) * 0.3
    paused = np.concatenate([np.zeros(8820, np.float32), tone, np.zeros(4410, np.float32)])
    assert normalize_loudness(paused, RATE_HZ)[8820:13230] == pytest.approx(normalize_loudness(tone, RATE_HZ), rel=0.01)
    assert len(normalize_loudness(paused[:9000], RATE_HZ)) == 9000  # the last frame is a short one


def test_a_click_does_not_change_the_level(recordings):
    """Of a switch, 5 ms at full scale: it made the speech of a quiet clip too quiet to be cloned."""
    wave = decode_audio(recordings[0]["audio"]["bytes"], RATE_HZ) * np.float32(0.1)
    clicked = wave.copy()
    clicked[len(wave) // 2 : len(wave) // 2 + 110] = 1.0
    gains = [np.median(normalize_loudness(one, RATE_HZ)[wave != 0] / one[wave != 0]) for one in (wave, clicked)]
    assert 20 * np.log10(gains[1] / gains[0]) == pytest.approx(0, abs=0.3)


def test_zeros_stay_zeros():
    assert not normalize_loudness(np.zeros(1000, np.float32), RATE_HZ).any()


def test_a_recording_far_too_quiet_is_learned_from_as_if_it_were_not(recordings):
    wave, make = decode_audio(recordings[0]["audio"]["bytes"], RATE_HZ), FeatureMaker(AudioConfig(), 1)
    rows = [Utterance("a", "a word", Samples(wave * np.float32(gain), RATE_HZ)) for gain in (1, 0.01)]
    found = [make(row).mel_TC for row in rows]
    np.testing.assert_allclose(*found, atol=1e-4)


def test_the_spectrum_of_speech_is_the_mean_of_its_frames_above_the_mean_level():
    mel_TC = np.random.default_rng(0).normal(-5, 2, (57, 80))
    levels = [frame.mean() for frame in mel_TC]
    loud = [frame for frame, level in zip(mel_TC, levels, strict=True) if level >= np.mean(levels)]
    found = speech_spectrum(torch.from_numpy(mel_TC.astype(np.float32)))
    assert found.numpy() == pytest.approx(np.mean(loud, axis=0), abs=1e-5)


def test_pauses_do_not_change_the_spectrum_of_speech():
    speech, floor = torch.randn(30, 80) * 0.1, float(np.log(1e-5))
    speech = speech - speech.mean(1, keepdim=True)  # equally loud frames
    paused = torch.cat((torch.full((40, 80), floor), speech, torch.full((20, 80), floor)))
    torch.testing.assert_close(speech_spectrum(paused), speech.mean(0))


@pytest.mark.parametrize("frames", [1, 3, 77])
def test_the_spectrum_of_digital_silence_is_its_floor(frames):
    """All frames are equal, and their mean is rounded."""
    floor = float(np.log(1e-5))
    torch.testing.assert_close(speech_spectrum(torch.full((frames, 80), floor)), torch.full((80,), floor))
