"""What a recording tells of itself, with no model: level, clipping, noise, silence, cut ends, pitch.

Shapes: N = samples, K = frames of FRAME_S seconds, every HOP_S seconds.
"""

import importlib.util
from dataclasses import dataclass

import numpy as np

from data_pipeline.recordings.audio import Recording, trim_silence
from data_pipeline.recordings.mono import SILENCE_DB, averaged, cancels

FRAME_S, HOP_S = 0.020, 0.010
QUIETEST_SHARE = 0.1  # of the frames, taken to be the noise between the words
NEAR_PEAK = 0.98  # of a clip's largest sample: what was cut off lies there, in speech hardly anything does
LOUD = 0.1  # of the loudest frame's amplitude (-20 dB): vowels, of which the pitch is measured
TINY = 1e-12  # -120 dB, for the logarithm of digital silence


@dataclass(frozen=True, slots=True)
class Wave:
    """Levels in dB re full scale, ends in dB re the clip's own level; pitch_hz None: not measured, or there is none.

    rumble_share: of the power, taken out (see recordings.mono). is_opposite: the channels cancel each other.
    """

    speech_s: float
    level_db: float
    near_peak_share: float
    silence_share: float
    snr_db: float
    start_db: float
    end_db: float
    pitch_hz: float | None
    rumble_share: float = 0.0
    is_opposite: bool = False


def measured(recording: Recording, with_pitch: bool) -> Wave:
    """The measures of one recording, of one channel but for clipping, which happens in each of them.

    snr_db: the mean power less that of the quietest tenth of the frames, over the latter. Speech pauses or fades often
    enough for that; white noise added to the demo corpus at 20, 15, 10 and 5 dB reads 20.1, 15.2, 10.3 and 5.4.
    """
    samples_NC, wave_N, rate_hz = recording
    power_K = frame_powers(wave_N, rate_hz)
    is_loud_K = power_K >= power_K.max() * 10 ** (-SILENCE_DB / 10)
    level_db = decibels(power_K[is_loud_K].mean())
    quietest = np.sort(power_K)[: max(1, int(QUIETEST_SHARE * len(power_K)))].mean()
    return Wave(
        speech_s=len(trim_silence(wave_N, rate_hz)) / rate_hz,
        level_db=level_db,
        near_peak_share=max(near_peak_share(channel_N) for channel_N in samples_NC.T),
        silence_share=1 - float(is_loud_K.mean()),
        snr_db=decibels(power_K.mean() - quietest) - decibels(quietest),
        start_db=decibels(power_K[0]) - level_db,
        end_db=decibels(power_K[-1]) - level_db,
        pitch_hz=median_pitch_hz(wave_N, rate_hz) if with_pitch else None,
        rumble_share=max(0.0, 1 - _energy(wave_N) / _energy(averaged(samples_NC))),
        is_opposite=cancels(samples_NC),
    )


def _energy(wave_N: np.ndarray) -> float:
    return float(np.square(wave_N, dtype=np.float64).sum())


def frame_powers(wave_N: np.ndarray, rate_hz: int) -> np.ndarray:
    """Mean square [K] of each frame; the last one ends with the wave."""
    frame, hop = max(1, round(FRAME_S * rate_hz)), max(1, round(HOP_S * rate_hz))
    energy = np.concatenate([[0.0], np.cumsum(np.square(wave_N, dtype=np.float64))])
    last = max(0, len(wave_N) - frame)
    starts = np.unique(np.append(np.arange(0, last + 1, hop), last))
    ends = np.minimum(starts + frame, len(wave_N))
    return (energy[ends] - energy[starts]) / (ends - starts)


def decibels(power: float) -> float:
    return float(10 * np.log10(max(float(power), TINY)))


def near_peak_share(channel_N: np.ndarray) -> float:
    """Share of the samples at the clip's own peak: a clip can be clipped and made quieter afterwards."""
    size_N = np.abs(channel_N)
    peak = size_N.max()
    return float((size_N >= NEAR_PEAK * peak).mean()) if peak > 0 else 0.0


def can_measure_pitch() -> bool:
    return importlib.util.find_spec("librosa") is not None


def median_pitch_hz(wave_N: np.ndarray, rate_hz: int) -> float | None:
    """Median pitch of the loud frames by YIN (de Cheveigne and Kawahara 2002, librosa.yin), which finds one everywhere.

    evaluation/f0 has pYIN, which tells voiced frames from others and takes fifty times as long.
    """
    import librosa

    from evaluation.f0.f0 import HIGHEST_HZ, LOWEST_HZ

    frame = 2 ** int(np.ceil(np.log2(3 * rate_hz / LOWEST_HZ)))
    if len(wave_N) < frame:
        return None
    hop = frame // 4
    pitch_K = librosa.yin(wave_N, fmin=LOWEST_HZ, fmax=HIGHEST_HZ, sr=rate_hz, frame_length=frame, hop_length=hop)
    level_K = librosa.feature.rms(y=wave_N, frame_length=frame, hop_length=hop)[0]
    return float(np.median(pitch_K[level_K >= LOUD * level_K.max()]))
