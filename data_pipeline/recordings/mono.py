"""One channel of a recording, without what a microphone adds that nobody hears: an offset, rumble, opposite channels.

Shapes: N = samples, K = frames of FRAME_S seconds.
"""

import numpy as np

FRAME_S = 0.020
SILENCE_DB = 42.0  # below the loudest frame
# Nothing of a voice lies below RUMBLE_HZ; what lies between the two fades.
RUMBLE_HZ, SPEECH_HZ = 20.0, 40.0
# Rumble is taken out where it does harm. Of the demo corpus' clips none loses so much: 0.3 s, a tenth of the power.
HIDDEN_S = 0.4  # of silence that sounds loud with it
RUMBLE_SHARE = 0.2  # of the power
CANCELLED = 0.3  # of the power that channels keep when averaged, were they not alike at all


def averaged(samples_NC: np.ndarray) -> np.ndarray:
    """The channels' mean, float32 [N]; where they cancel each other, as one with swapped wires does, the loudest."""
    if cancels(samples_NC):
        return np.ascontiguousarray(samples_NC[:, np.square(samples_NC, dtype=np.float64).sum(0).argmax()])
    return samples_NC.mean(axis=1, dtype=np.float32)


def cancels(samples_NC: np.ndarray) -> bool:
    """Whether less is left of the channels' mean than CANCELLED of what is left of unrelated ones: not of a pause."""
    channels = samples_NC.shape[1]
    if channels == 1:
        return False
    left = np.square(samples_NC.mean(axis=1, dtype=np.float64)).sum()
    return bool(left < CANCELLED * np.square(samples_NC, dtype=np.float64).sum() / channels**2)


def without_rumble(wave_N: np.ndarray, rate_hz: int) -> np.ndarray:
    """The wave without what lies below the voice, where that hides silence or makes up much of its power; else itself.

    Such are a converter's constant offset, wind, traffic and handling. Without phase shift, by the Fourier transform.
    """
    frame = max(1, round(FRAME_S * rate_hz))
    whole_KN = wave_N[: len(wave_N) // frame * frame].reshape(-1, frame)
    if not len(whole_KN) or rate_hz < 4 * SPEECH_HZ:
        return wave_N
    power_K = _powers(whole_KN)
    clean_N = _high_passed(wave_N, rate_hz)
    clean_K = _powers(clean_N[: whole_KN.size].reshape(-1, frame))
    if not clean_K.max() > 0:  # nothing but rumble
        return wave_N
    hidden_s = FRAME_S * (_loud(power_K).sum() - _loud(clean_K).sum())
    is_harmful = hidden_s > HIDDEN_S or clean_K.sum() < (1 - RUMBLE_SHARE) * power_K.sum()
    return clean_N if is_harmful else wave_N


def _powers(frames_KN: np.ndarray) -> np.ndarray:
    return np.square(frames_KN, dtype=np.float64).mean(axis=1)


def _loud(power_K: np.ndarray) -> np.ndarray:
    return power_K >= power_K.max() * 10 ** (-SILENCE_DB / 10)


def _high_passed(wave_N: np.ndarray, rate_hz: int) -> np.ndarray:
    centered_N = wave_N - np.float32(wave_N.mean(dtype=np.float64))
    pad = min(len(wave_N) - 1, rate_hz // 2)
    size = -(-(len(wave_N) + 2 * pad) // 4096) * 4096  # one of small factors, which is fast
    # The transform takes the ends for neighbors: both go on as point reflections, and these fade.
    padded_N = np.pad(centered_N, (pad, pad), mode="reflect", reflect_type="odd")
    fade_N = np.sin(np.linspace(0, np.pi / 2, pad, endpoint=False)) ** 2
    padded_N[:pad] *= fade_N
    padded_N[len(padded_N) - pad :] *= fade_N[::-1]
    spectrum_F = np.fft.rfft(padded_N, size)
    frequency_F = np.fft.rfftfreq(size, 1 / rate_hz)
    spectrum_F *= np.clip((frequency_F - RUMBLE_HZ) / (SPEECH_HZ - RUMBLE_HZ), 0, 1)
    return np.fft.irfft(spectrum_F, size)[pad : pad + len(wave_N)].astype(np.float32)
