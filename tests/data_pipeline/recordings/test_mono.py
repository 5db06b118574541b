"""What a microphone adds that nobody hears changes neither the length nor the level of the speech."""

import io

import numpy as np
import pytest
import soundfile

from data_pipeline.recordings.audio import SilentAudio, decode_audio, read_samples, trim_silence
from data_pipeline.recordings.speech import normalize_loudness
from data_pipeline.utterance import Samples

RATE_HZ = 22_050


@pytest.fixture(scope="module")
def speech(recordings) -> np.ndarray:
    """A quiet clip with a second of near silence at both ends."""
    wave = 0.1 * decode_audio(recordings[0]["audio"]["bytes"], RATE_HZ)
    ends = np.random.default_rng(0).normal(0, 1e-5, (2, RATE_HZ)).astype(np.float32)
    return np.concatenate([ends[0], wave, ends[1]])


def learned(samples: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format="WAV", subtype="FLOAT")
    return normalize_loudness(trim_silence(decode_audio(file.getvalue(), RATE_HZ), RATE_HZ), RATE_HZ)


def tone(hz: float, size: float, length: int) -> np.ndarray:
    return (size * np.sin(2 * np.pi * hz * np.arange(length) / RATE_HZ)).astype(np.float32)


ADDED = {
    "an offset": lambda n: np.full(n, 0.2, np.float32),
    "a small offset": lambda n: np.full(n, 0.005, np.float32),
    "a drifting offset": lambda n: np.linspace(-0.3, 0.2, n, dtype=np.float32),
    "rumble": lambda n: tone(11, 0.006, n) + tone(4.3, 0.003, n),
}


@pytest.mark.parametrize("what", ADDED)
def test_what_lies_below_the_voice_changes_neither_length_nor_level(what, speech):
    plain, harmed = learned(speech), learned(speech + ADDED[what](len(speech)))
    assert len(harmed) == pytest.approx(len(plain), abs=0.03 * RATE_HZ)
    assert harmed.std() == pytest.approx(plain.std(), rel=0.03)


def test_a_clean_recording_is_left_as_it_is(recordings):
    for row in recordings:
        samples_NC, wave_N, _ = read_samples(row["audio"]["bytes"])
        assert np.array_equal(wave_N, samples_NC[:, 0])


@pytest.mark.parametrize("gain", [-1.0, -0.9, -0.7])
def test_opposite_channels_do_not_cancel(gain, speech):
    stereo = learned(np.stack([speech, np.float32(gain) * speech], axis=1))
    assert stereo == pytest.approx(learned(speech), abs=1e-4)


def test_channels_that_differ_or_are_silent_are_averaged(speech):
    rng = np.random.default_rng(1)
    others = [np.zeros_like(speech), rng.permutation(speech), 0.3 * speech, -0.2 * speech]
    for other in others:
        both = np.stack([speech, other], axis=1)
        assert decode_audio(Samples(both, RATE_HZ), RATE_HZ) == pytest.approx(both.mean(1), abs=1e-6)


@pytest.mark.parametrize("level", [0.0, 0.3, -1.0])
def test_a_constant_is_silence(level):
    with pytest.raises(SilentAudio):
        decode_audio(Samples(np.full(RATE_HZ, level, np.float32), RATE_HZ), RATE_HZ)
