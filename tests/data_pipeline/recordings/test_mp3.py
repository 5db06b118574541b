"""MP3 files say how long they are, or not, or wrongly; every sample of them is read."""

import io

import numpy as np
import pytest
import soundfile

from data_pipeline.recordings.audio import CutOffAudio, decode_audio, duration_s
from data_pipeline.recordings.mp3 import _after_id3, _frame, with_true_length

RATES_HZ = (8_000, 16_000, 22_050, 44_100, 48_000)


def mp3(wave: np.ndarray, rate_hz: int, mode: str = "VARIABLE") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate_hz, format="MP3", bitrate_mode=mode, compression_level=0.6)
    return file.getvalue()


def without_header(content: bytes) -> bytes:
    """As an encoder writes into a pipe, where it cannot come back to fill in the count."""
    start = _after_id3(content)
    return content[start + _frame(content, start) :]


@pytest.fixture(scope="module")
def clip(recordings) -> np.ndarray:
    """A loud word after two seconds that take few bits: its first frames tell nothing of its length."""
    speech = decode_audio(recordings[0]["audio"]["bytes"], 16_000)
    return np.concatenate([np.zeros(32_000, np.float32), speech, speech])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_variable_rate_without_a_count_is_read_to_its_end(rate_hz, channels, clip, tmp_path):
    content = without_header(mp3(np.stack([clip] * channels, 1), rate_hz))
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    for audio in (content, str(path)):
        assert duration_s(audio) == pytest.approx(len(clip) / rate_hz, abs=3 * 1152 / rate_hz)
        assert len(decode_audio(audio, rate_hz)) == pytest.approx(len(clip), abs=3 * 1152)


def test_two_files_in_one_are_read_to_the_end_of_the_second(clip):
    content = mp3(clip, 16_000)
    assert duration_s(content + content) == pytest.approx(2 * len(clip) / 16_000, abs=0.2)
    tagged = b"ID3\x04\0\0\0\0\x02\0" + bytes(256) + without_header(content)
    assert duration_s(tagged) == pytest.approx(len(clip) / 16_000, abs=0.2)


@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_a_file_that_says_its_length_is_left_as_it_is(mode, clip):
    content = mp3(clip, 16_000, mode)
    assert with_true_length(content) == content
    with pytest.raises(CutOffAudio):
        decode_audio(content[: len(content) // 2], 16_000)


@pytest.mark.parametrize(
    "content", [b"", b"ID3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"\xff\xfb", b"\xff" * 5000, b"RIFF" * 9]
)
def test_what_is_no_mp3_comes_back_as_it_is(content):
    assert with_true_length(content) == content
