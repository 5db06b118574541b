"""Audio against independent references: numpy's own DFT, a mel filterbank in numpy, soundfile's own decoding."""

import io
import struct

import numpy as np
import pytest
import soundfile
import torch

from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import (
    PRESETS,
    AudioConfig,
    BrokenAudio,
    decode_audio,
    duration_s,
    log_mel,
    trim_silence,
)
from data_pipeline.utterance import Samples

RATE_HZ = 22_050


@pytest.fixture(scope="module")
def wave(recordings) -> np.ndarray:
    return decode_audio(recordings[0]["audio"]["bytes"], RATE_HZ)


def written(wave: np.ndarray, rate_hz: int, **how) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, rate_hz, **how)
    return file.getvalue()


# An AIFF whose last chunk is cut off: libsndfile seeks to a place before the beginning.
CUT_AIFF = b"FORM\0\0\x000AIFFCOMM\0\0\0\x12\0\1\0\0\0\1\0\x10@\x0c\xfa\0\0\0\0\0\0\0SS"


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_damaged_header_prints_no_traceback(tmp_path):
    (tmp_path / "a.aiff").write_bytes(CUT_AIFF)
    for audio in (CUT_AIFF, str(tmp_path / "a.aiff")):
        with pytest.raises(BrokenAudio, match="cannot be decoded as audio"):
            decode_audio(audio, RATE_HZ)


FORMATS = {
    "wav": {"format": "WAV"},
    "flac": {"format": "FLAC"},
    "mp3": {"format": "MP3"},
    "ogg": {"format": "OGG", "subtype": "VORBIS"},
    "opus": {"format": "OGG", "subtype": "OPUS"},
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("from_path", [False, True])
def test_every_format_decodes_to_the_same_speech(name, from_path, wave, tmp_path):
    at_24k = decode_audio(Samples(wave, RATE_HZ), 24_000)  # a rate that Opus has
    audio = written(at_24k, 24_000, **FORMATS[name])
    if from_path:
        path = tmp_path / f"a.{name}"
        path.write_bytes(audio)
        audio = str(path)
    decoded = decode_audio(audio, RATE_HZ)
    assert decoded.dtype == np.float32 and decoded.ndim == 1
    assert duration_s(audio) == pytest.approx(len(wave) / RATE_HZ, abs=0.06)  # mp3 pads by a frame
    best = max(np.corrcoef(wave[3000:20000], decoded[3000 + lag : 20000 + lag])[0, 1] for lag in range(-60, 1300))
    assert best > 0.98


def test_resampling_keeps_what_both_rates_hold(recordings):
    audio = recordings[0]["audio"]["bytes"]
    native, rate_hz = soundfile.read(io.BytesIO(audio), dtype="float64")
    halved = decode_audio(audio, rate_hz // 2)
    assert len(halved) == pytest.approx(len(native) / 2, abs=1)
    # Reference: an ideal low pass by zeroing the upper half of the spectrum.
    even = native[: len(native) // 4 * 4]
    spectrum = np.fft.rfft(even)
    reference = np.fft.irfft(spectrum[: len(even) // 4 + 1], len(even) // 2) / 2
    error = halved[500:-500] - reference[500 : len(halved) - 500]
    assert np.sqrt(np.mean(error**2)) < 0.03 * np.sqrt(np.mean(reference**2))


def test_channels_are_averaged(wave):
    stereo = np.stack([wave, np.zeros_like(wave)], axis=1)
    assert np.allclose(
        decode_audio(written(stereo, RATE_HZ, format="WAV", subtype="FLOAT"), RATE_HZ), wave / 2, atol=1e-6
    )


def test_duration_reads_the_header_only(recordings, wave, monkeypatch):
    audio = recordings[0]["audio"]["bytes"]
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    assert duration_s(audio) == pytest.approx(len(wave) / RATE_HZ, abs=1e-3)
    assert duration_s(Samples(wave, 11_025)) == pytest.approx(2 * len(wave) / RATE_HZ)


def slaney_filters(config: AudioConfig) -> np.ndarray:
    """[C, F] in float64: Slaney's Auditory Toolbox scale (linear to 1 kHz, then 27 steps to 6.4), unit area."""

    def mel(hz):
        return np.where(hz < 1000, hz * 3 / 200, 15 + 27 * np.log(np.maximum(hz, 1) / 1000) / np.log(6.4))

    def hz(mel):
        return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))

    edges = hz(np.linspace(mel(np.float64(config.f_min_hz)), mel(np.float64(config.f_max_hz)), config.n_mels + 2))
    bins = np.arange(config.n_fft // 2 + 1) * config.sample_rate_hz / config.n_fft
    filters = np.zeros((config.n_mels, len(bins)))
    for row, (low, center, high) in zip(filters, zip(edges, edges[1:], edges[2:], strict=False), strict=True):
        triangle = np.minimum((bins - low) / (center - low), (high - bins) / (high - center))
        row[:] = np.maximum(triangle, 0) * 2 / (high - low)
    return filters


@pytest.mark.parametrize("preset", PRESETS)
def test_mel_is_hifigans_in_float64(preset, recordings):
    """The definition of HiFi-GAN's meldataset.py, by explicit frames and numpy's FFT in float64."""
    config = PRESETS[preset]
    wave = decode_audio(recordings[1]["audio"]["bytes"], config.sample_rate_hz)
    pad = (config.n_fft - config.hop) // 2
    padded = np.pad(wave.astype(np.float64), pad, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.n_fft) / config.n_fft)
    starts = range(0, len(padded) - config.n_fft + 1, config.hop)
    spectrum = np.stack([np.fft.rfft(padded[start : start + config.n_fft] * window) for start in starts])
    magnitude = np.sqrt(np.abs(spectrum) ** 2 + 1e-9)
    expected = np.log(np.maximum(magnitude @ slaney_filters(config).T, 1e-5))
    got = log_mel(torch.from_numpy(wave), config)
    assert got.dtype == torch.float32 and got.shape == (len(wave) // config.hop, config.n_mels)
    assert np.abs(got.numpy() - expected).max() < 2e-3


def test_mel_rises_at_a_tones_channel():
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(RATE_HZ) / RATE_HZ)
    loudest = log_mel(tone, AudioConfig())[20:-20].argmax(dim=1)
    filters = slaney_filters(AudioConfig())
    assert (loudest == filters[:, round(440 * 1024 / RATE_HZ)].argmax()).all()


def test_trimming_cuts_added_silence_and_no_speech(recordings):
    noise = np.random.default_rng(0)
    for row in recordings:
        speech = trim_silence(decode_audio(row["audio"]["bytes"], RATE_HZ), RATE_HZ, keep_s=0.0)
        level = 1e-3 * np.abs(speech).max()  # a noise floor 60 dB below the peak
        ends = [noise.normal(0, level, seconds * RATE_HZ).astype(np.float32) for seconds in (1, 2)]
        trimmed = trim_silence(np.concatenate([ends[0], speech, ends[1]]), RATE_HZ, keep_s=0.05)
        assert len(trimmed) == pytest.approx(len(speech) + 0.1 * RATE_HZ, abs=0.03 * RATE_HZ)
        assert np.array_equal(trimmed[np.flatnonzero(trimmed == speech[0])[0] :][: len(speech)], speech)


def test_trimming_does_not_depend_on_the_level(wave):
    assert len(trim_silence(wave * 1e-3, RATE_HZ)) == len(trim_silence(wave, RATE_HZ))


@pytest.mark.parametrize("wave", [np.zeros(5000), np.r_[np.zeros(5000), 1.0], np.ones(10), np.full(5000, 1e-7)])
def test_trimming_never_returns_nothing(wave):
    assert len(trim_silence(wave.astype(np.float32), RATE_HZ)) > 0


def wav_of_zero_hz(wave) -> bytes:
    audio = bytearray(written(wave, RATE_HZ, format="WAV"))
    audio[24:28] = struct.pack("<I", 0)
    return bytes(audio)


BROKEN = {
    "not audio": (lambda wave: b"this is no audio file at all, but a sentence", "cannot be decoded"),
    "empty file": (lambda wave: b"", "0 bytes"),
    "no samples": (lambda wave: written(wave[:0], RATE_HZ, format="WAV"), "no samples"),
    "0 Hz": (wav_of_zero_hz, "0 samples per second|cannot be decoded"),
    "cut wav": (lambda wave: written(wave, RATE_HZ, format="WAV")[: len(wave)], "cut off"),
    "cut mp3": (lambda wave: written(wave, RATE_HZ, format="MP3")[:-6000], "cut off"),
    "cut flac": (lambda wave: written(wave, RATE_HZ, format="FLAC")[: len(wave) // 3], "cannot be decoded|cut off"),
    "NaN": (lambda wave: Samples(np.r_[wave, np.float32("nan")], RATE_HZ), "1 samples that are NaN"),
    "infinite": (lambda wave: written(np.r_[wave, np.inf], RATE_HZ, format="WAV", subtype="FLOAT"), "NaN or infinite"),
    "silent": (lambda wave: written(wave * 0, RATE_HZ, format="WAV"), "silent"),
    "rate too low": (lambda wave: Samples(wave, 100), "100 samples per second"),
    "rate negative": (lambda wave: Samples(wave, -1), "-1 samples per second"),
    "no file": (lambda wave: "no/such/file.wav", "no/such/file.wav .*does not exist"),
    "a folder": (lambda wave: ".", "does not exist"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_audio_is_one_clear_error(fault, wave):
    make, message = BROKEN[fault]
    with pytest.raises(BrokenAudio, match=message) as caught:
        decode_audio(make(wave), RATE_HZ, name="row-7")
    assert "row-7" in str(caught.value) and isinstance(caught.value, UserError)


def test_too_short_for_a_frame_is_an_error():
    with pytest.raises(BrokenAudio, match="100 samples"):
        log_mel(torch.ones(100), AudioConfig())


@pytest.mark.parametrize("wrong", [{"f_max_hz": 12_000.0}, {"hop": 255}, {"n_mels": 0}, {"sample_rate_hz": 10}])
def test_a_value_out_of_range_is_named(wrong):
    with pytest.raises(UserError, match=f"audio.{next(iter(wrong))}"):
        AudioConfig(**wrong)
