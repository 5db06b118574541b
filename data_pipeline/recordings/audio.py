"""From the bytes of an audio file to the log-mel spectrogram that the model learns.

Shapes: N = samples, F = frequency bins up to the highest that a mel channel takes, T = mel frames, C = mel channels.
Everything decodes through libsndfile, which the soundfile package carries, so that no system library is needed; what it
does not read goes through data_pipeline.recordings.containers first.
"""

import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from typing import ClassVar, NamedTuple

import fsspec
import numpy as np
import soundfile
import soxr
import torch
import torchaudio.functional

from data_pipeline.errors import UserError
from data_pipeline.recordings.containers import NeedsConversion, NotConverted, mp4_header, readable
from data_pipeline.recordings.mono import SILENCE_DB, averaged, without_rumble
from data_pipeline.recordings.mp3 import SIGNATURE_BYTES, is_mp3, with_true_length
from data_pipeline.recordings.seeking import Seeking
from data_pipeline.utterance import Audio, Samples, Segment

FORMATS = "wav, flac, mp3, ogg, opus; with ffmpeg m4a, aac, webm, wma, amr, 3gp"
RATE_RANGE_HZ = (4_000, 384_000)
# Three steps of 16-bit audio: a file that never gets louder is digital silence with dither, not speech.
SILENT_PEAK = 1e-4
# libsndfile reports 2**63 - 1 frames for a stream whose header leaves the length open (flac through a pipe).
UNKNOWN_FRAMES = 2**62
# Decoded at once, of all channels together, at most: 46 minutes of mono at 48 kHz, 512 MB.
MOST_SAMPLES = 2**27
# What programs write for the length of a wav that they cannot seek back in: 2**31 - 1 or 2**32 - 1, or just below.
UNKNOWN_WAV_BYTES = 2**31 - 4096


class BrokenAudio(UserError):
    """Audio that cannot be used: says which, what was found, what is expected, what to do."""


class CutOffAudio(BrokenAudio):
    """A file of which a part is missing."""


class UnreadKind(BrokenAudio):
    """A file of a kind that nothing here reads, in words that are the same for all of its folder."""


class SilentAudio(BrokenAudio):
    """A recording in which nothing is to be heard."""


class Recording(NamedTuple):
    """samples_NC: as recorded, float32. wave_N: one channel of them, without rumble (see recordings.mono)."""

    samples_NC: np.ndarray
    wave_N: np.ndarray
    rate_hz: int


class Header(NamedTuple):
    """What a recording says of itself before it is decoded."""

    seconds: float
    rate_hz: int


@dataclass(frozen=True)
class AudioConfig:
    """The mel spectrogram's convention. The defaults are those of public HiFi-GAN vocoders (Kong et al. 2020)."""

    sample_rate_hz: int = 22_050
    n_fft: int = 1024  # also the length of the Hann window
    hop: int = 256
    n_mels: int = 80
    f_min_hz: float = 0.0
    f_max_hz: float = 8_000.0
    log_floor: float = 1e-5
    # The same in every preset, so no field that a checkpoint stores; in torchaudio's words.
    mel_scale: ClassVar[str] = "slaney"
    mel_norm: ClassVar[str] = "slaney"
    centered: ClassVar[bool] = False  # frame t covers samples hop * t - (n_fft - hop) / 2 and on, reflected at the ends

    def __post_init__(self):
        low_hz, high_hz = RATE_RANGE_HZ
        checks = [
            ("sample_rate_hz", low_hz <= self.sample_rate_hz <= high_hz, f"between {low_hz} and {high_hz}"),
            ("n_fft", self.n_fft >= 2 and self.n_fft % 2 == 0, "a positive even number of samples"),
            (
                "hop",
                0 < self.hop <= self.n_fft and (self.n_fft - self.hop) % 2 == 0,
                f"even, positive and at most n_fft ({self.n_fft})",
            ),
            ("n_mels", self.n_mels > 0, "positive"),
            ("f_min_hz", 0 <= self.f_min_hz < self.f_max_hz, f"at least 0 and below f_max_hz ({self.f_max_hz})"),
            ("f_max_hz", self.f_max_hz <= self.sample_rate_hz / 2, f"at most half of {self.sample_rate_hz} Hz"),
            ("log_floor", self.log_floor > 0, "positive"),
        ]
        for name, ok, expected in checks:
            if not ok:
                raise UserError(f"audio.{name} is {getattr(self, name)}, which is out of range: it must be {expected}.")

    @property
    def frames_per_s(self) -> float:
        return self.sample_rate_hz / self.hop

    def convention(self) -> dict[str, object]:
        """Everything that a vocoder's mels must have as these do, by name."""
        shared = {"mel_scale": self.mel_scale, "mel_norm": self.mel_norm, "centered": self.centered}
        return asdict(self) | shared

    def differences(self, trained_with: Mapping[str, object]) -> list[str]:
        """What a vocoder was trained with that these mels have otherwise, a phrase each.

        trained_with: as much of its `convention` as is known.
        """
        ours = self.convention()
        return [
            f"{name} is {ours.get(name, 'unknown here')} where it was trained with {value}"
            for name, value in trained_with.items()
            if name not in ours or ours[name] != value
        ]

    def mel_filters(self) -> torch.Tensor:
        """The filterbank [F, C] from magnitudes of all n_fft / 2 + 1 frequency bins to mel channels, float32."""
        return torchaudio.functional.melscale_fbanks(
            self.n_fft // 2 + 1,
            self.f_min_hz,
            self.f_max_hz,
            self.n_mels,
            self.sample_rate_hz,
            norm=self.mel_norm,
            mel_scale=self.mel_scale,
        )


PRESETS = {
    "16khz": AudioConfig(sample_rate_hz=16_000),
    "22khz": AudioConfig(),
    # 100 channels up to the Nyquist frequency, as the 24 kHz BigVGAN and Vocos have them.
    "24khz": AudioConfig(sample_rate_hz=24_000, n_mels=100, f_max_hz=12_000.0),
}


def duration_s(audio: Audio, *, name: str = "") -> float:
    """Seconds of a recording, from its header alone. Raises BrokenAudio where there is no readable header."""
    return header_of(audio, name=name).seconds


def header_of(audio: Audio, *, name: str = "") -> Header:
    """Length and rate of a recording, undecoded. Raises BrokenAudio where there is no readable header."""
    if isinstance(audio, Segment):
        seconds, rate_hz = header_of(audio.recording, name=name)
        first, last = _ends(audio, round(seconds * rate_hz), rate_hz, name)
        return Header((last - first) / rate_hz, rate_hz)
    if isinstance(audio, Samples):
        return Header(len(audio.values) / _checked_rate(audio.rate_hz, _label(audio, name)), audio.rate_hz)
    of_boxes = mp4_header(audio)
    if of_boxes:
        return Header(of_boxes[0], _checked_rate(of_boxes[1], _label(audio, name)))
    with _opened(audio, name) as file:
        rate_hz = _checked_rate(file.samplerate, _label(audio, name))
        return Header(file.frames / rate_hz, rate_hz)


def decode_audio(audio: Audio, sample_rate_hz: int, *, name: str = "") -> np.ndarray:
    """Decodes to mono float32 [N] at sample_rate_hz (see data_pipeline.recordings.mono; resampled by soxr's HQ filter).

    name: the utterance's id, for messages about audio that has no path. Raises BrokenAudio as `read_samples` does.
    """
    _, wave, rate_hz = read_samples(audio, name=name)
    if rate_hz == sample_rate_hz:
        return wave
    resampled = soxr.resample(wave, rate_hz, sample_rate_hz, quality="HQ")
    if not len(resampled):
        label = _label(audio, name)
        raise BrokenAudio(f"{label} has only {len(wave)} samples; expected speech. Leave it out.")
    return np.ascontiguousarray(resampled, dtype=np.float32)


def read_samples(audio: Audio, *, name: str = "") -> Recording:
    """The samples as they were recorded, neither resampled nor trimmed.

    Raises BrokenAudio for a missing or unreadable or cut-off file, no samples, a rate out of range, NaN or infinite
    samples, and digital silence.
    """
    label = _label(audio, name)
    segment = audio if isinstance(audio, Segment) else None
    recording = segment.recording if segment else audio
    if isinstance(recording, Samples):
        values = np.asarray(recording.values, dtype=np.float32)
        rate_hz = _checked_rate(recording.rate_hz, label)
        first, last = _ends(segment, len(values), rate_hz, name) if segment else (0, len(values))
        samples_NC = values[first:last].reshape(last - first, -1) if last > first else np.empty((0, 1), np.float32)
    else:
        samples_NC, rate_hz = _read_file(recording, segment, name)
        _checked_rate(rate_hz, label)
    if not samples_NC.size:
        raise BrokenAudio(f"{label} holds no samples; expected speech. Record it again or leave it out.")
    if not np.isfinite(samples_NC).all():
        bad = int((~np.isfinite(samples_NC)).sum())
        raise BrokenAudio(
            f"{label} holds {bad} samples that are NaN or infinite; expected numbers between -1 and 1. "
            "Write the file again or leave it out."
        )
    wave = without_rumble(averaged(samples_NC), rate_hz)
    peak = float(np.abs(wave - wave.mean()).max())  # of a constant nothing is to be heard
    if peak < SILENT_PEAK:
        raise SilentAudio(f"{label} is silent (its loudest sample is {peak:.1e}); expected speech. Leave it out.")
    return Recording(samples_NC, wave, rate_hz)


def trim_silence(wave: np.ndarray, sample_rate_hz: int, keep_s: float = 0.05, top_db: float = SILENCE_DB) -> np.ndarray:
    """Cuts the quiet ends of a wave [N], keeping keep_s seconds of them.

    Quiet is a 20 ms frame whose RMS is more than top_db below the loudest frame's: relative, so that the level of
    the recording does not matter. A wave with a loud frame never comes back empty; one of zeros comes back whole.
    """
    frame, hop = max(1, round(0.020 * sample_rate_hz)), max(1, round(0.005 * sample_rate_hz))
    if len(wave) <= frame:
        return wave
    energy = np.concatenate([[0.0], np.cumsum(np.square(wave, dtype=np.float64))])
    starts = np.arange(0, len(wave) - frame + hop, hop)
    ends = np.minimum(starts + frame, len(wave))
    power = (energy[ends] - energy[starts]) / (ends - starts)
    if not power.max() > 0:
        return wave
    loud = np.flatnonzero(power >= power.max() * 10 ** (-top_db / 10))
    keep = round(keep_s * sample_rate_hz)
    return wave[max(0, starts[loud[0]] - keep) : ends[loud[-1]] + keep]


def log_mel(wave: torch.Tensor, config: AudioConfig) -> torch.Tensor:
    """The log-mel spectrogram of a wave float32 [N]: float32 [T, C] with T = N // hop.

    As HiFi-GAN's meldataset.mel_spectrogram (Kong et al. 2020): reflect padding by (n_fft - hop) / 2 and no
    centering, periodic Hann window, magnitude with 1e-9 under the root, Slaney mel scale and norm, natural log of
    the value clamped at log_floor. Raises BrokenAudio where the wave is too short to reflect.
    """
    pad = (config.n_fft - config.hop) // 2
    if wave.shape[-1] < max(pad + 1, config.hop):
        raise BrokenAudio(
            f"A clip of {wave.shape[-1]} samples ({wave.shape[-1] / config.sample_rate_hz:.3f} s) is too "
            f"short for a mel frame; expected more than {pad} samples. Leave it out."
        )
    window, filters_FC = _mel_tensors(config, wave.device)
    padded = torch.nn.functional.pad(wave.float()[None], (pad, pad), mode="reflect")[0]
    spectrum_TF = torch.fft.rfft(padded.unfold(0, config.n_fft, config.hop) * window)[:, : len(filters_FC)]
    real_imaginary_TF2 = torch.view_as_real(spectrum_TF).square()
    magnitude_TF = (real_imaginary_TF2[..., 0] + real_imaginary_TF2[..., 1]).add_(1e-9).sqrt_()
    return (magnitude_TF @ filters_FC).clamp_(min=config.log_floor).log()


@cache
def _mel_tensors(config: AudioConfig, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """The window [n_fft] and the filterbank [F, C], built once for each config and device."""
    filters_FC = config.mel_filters()
    taken = filters_FC.any(dim=1).nonzero().max() + 1  # a quarter of the bins lies above f_max_hz by default
    return torch.hann_window(config.n_fft, device=device), filters_FC[:taken].to(device)


def _read_file(audio: bytes | str, segment: Segment | None, name: str) -> tuple[np.ndarray, int]:
    """Samples float32 [N, channels] and the rate in Hz, of all or of a segment."""
    label = _label(audio, name)
    with _opened(audio, name) as file:
        first, last = _ends(segment, file.frames, file.samplerate, name) if segment else (0, file.frames)
        wanted = last - first
        if wanted * file.channels > MOST_SAMPLES:  # memory is taken for what the header says, true or not
            raise BrokenAudio(
                f"{label} says it holds {wanted} samples of {file.channels} channels; expected one utterance, "
                f"{MOST_SAMPLES} at most. Cut it into sentences, or leave it out."
            )
        try:
            if first:
                file.seek(first)
            samples = file.read(wanted, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise _unreadable(label, error.error_string) from error
        _check_whole(label, len(samples), wanted)
        # libsndfile corrects a wav's length to what is there and leaves the promised one, in bytes, in its log.
        promised = re.search(r"^data : (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
        if promised and int(promised[1]) < UNKNOWN_WAV_BYTES:
            _check_whole(label, int(promised[2]), int(promised[1]))
        return samples, file.samplerate


def _ends(segment: Segment, frames: int, rate_hz: int, name: str) -> tuple[int, int]:
    """The segment's first sample and the one behind its last, in a recording of so many samples.

    A recording as long as the segment is the segment, cut out already. Raises BrokenAudio for one that lies outside.
    """
    scale = 1 if segment.in_samples else rate_hz
    first = round(segment.start * scale)
    last = frames if segment.end is None else round(segment.end * scale)
    if abs(last - first - frames) <= 0.05 * rate_hz:
        return 0, frames
    if not 0 <= first < last or last > frames + 0.1 * rate_hz:  # times are rounded
        label, unit = _label(segment.recording, name), "samples" if segment.in_samples else "s"
        raise BrokenAudio(
            f"{label} is {frames / scale:g} {unit} long; expected a segment inside it, found {segment.start:g} to "
            f"{(frames / scale) if segment.end is None else segment.end:g} {unit}. Correct the row's times. Where the "
            "files are cut already, rename the columns of the times."
        )
    return first, min(last, frames)


def _check_whole(label: str, found: int, promised: int) -> None:
    # A decoder's delay and a last frame can be missing from an mp3; a tenth is beyond that.
    if found < 0.9 * promised:
        raise CutOffAudio(
            f"{label} is cut off: {found / promised:.0%} of what its header promises is there. "
            "Copy it again or leave it out."
        )


class _ReadOnce(soundfile.SoundFile):
    """A file that is read from its start to its end, or not at all.

    soundfile seeks to where a read ended, for which Opus decodes that place again: a seventh of the time.
    """

    def seekable(self) -> bool:
        return False


@contextmanager
def _opened(audio: bytes | str, name: str):
    """A soundfile.SoundFile of bytes, of a path or of a URL; BrokenAudio where that is not possible."""
    label = _label(audio, name)
    if isinstance(audio, str) and "://" not in audio and not os.path.isfile(audio):
        raise BrokenAudio(
            f"{label} does not exist; expected an audio file ({FORMATS}). Correct the path in its row, "
            "or give the folder that paths are relative to."
        )
    if isinstance(audio, bytes) and not audio:
        raise BrokenAudio(f"{label} is empty (0 bytes); expected an audio file ({FORMATS}).")
    try:
        where = audio if isinstance(audio, str) else None
        with _handle(audio) as handle, _ReadOnce(Seeking(readable(handle, where))) as file:
            if file.frames >= UNKNOWN_FRAMES:
                raise BrokenAudio(
                    f"{label} does not say how long it is (it was written through a pipe); expected a "
                    "length in its header. Write it again: ffmpeg -i IN OUT.flac"
                )
            yield file
    except soundfile.LibsndfileError as error:
        raise _unreadable(label, error.error_string) from error
    except NotConverted as error:
        raise _unreadable(label, str(error)) from error
    except NeedsConversion as error:  # whose words are the same for all of a folder
        raise UnreadKind(str(error)) from error
    except TypeError as error:  # soundfile takes a file for headerless samples by its name, and asks for their rate
        raise _unreadable(label, "no header") from error
    except (OSError, ImportError, ValueError) as error:  # fsspec: no such protocol, or its package is missing
        if isinstance(error, UserError):
            raise
        raise BrokenAudio(f"{label} cannot be opened ({error}); expected an audio file ({FORMATS}).") from error


@contextmanager
def _handle(audio: bytes | str) -> Iterator[io.IOBase]:
    if isinstance(audio, bytes):
        yield io.BytesIO(with_true_length(audio) if is_mp3(audio) else audio)
        return
    with _file(audio) as file:
        start = file.read(SIGNATURE_BYTES)
        file.seek(0)
        if not is_mp3(start):
            yield file
            return
        changed_ns = 0 if "://" in audio else os.fstat(file.fileno()).st_mtime_ns
        yield io.BytesIO(_mp3_file(audio, changed_ns))


@lru_cache(maxsize=1)  # the rows of a long recording come one after another
def _mp3_file(path: str, changed_ns: int) -> bytes:
    with _file(path) as file:
        return with_true_length(file.read())


def _file(path: str):
    if "://" not in path:
        return open(path, "rb")
    try:
        return fsspec.open(path, "rb").open()
    except ValueError as error:  # of a URL that is none
        raise OSError(str(error)) from error


def _unreadable(label: str, reason: str) -> BrokenAudio:
    return BrokenAudio(
        f"{label} cannot be decoded as audio ({reason.strip(' .')}); expected one of: "
        f"{FORMATS}. Convert it (ffmpeg -i IN OUT.flac) or leave it out."
    )


def _checked_rate(rate_hz: int, label: str) -> int:
    low_hz, high_hz = RATE_RANGE_HZ
    if not low_hz <= rate_hz <= high_hz:
        raise BrokenAudio(
            f"{label} says {rate_hz} samples per second, which is out of range; expected {low_hz} to "
            f"{high_hz} Hz. Correct the file's header or the rate column."
        )
    return rate_hz


def _label(audio: Audio, name: str) -> str:
    if isinstance(audio, Segment):
        return _label(audio.recording, name)
    if isinstance(audio, str):
        return f"Audio file {audio}" + (f" (row {name})" if name else "")
    return f"Audio of row {name}" if name else "Audio without a name"
