"""Whose voice a recording is in, as a vector: Resemblyzer's encoder (Wan et al. 2018, generalized end-to-end loss).

Its weights lie in assets/speaker_encoder. What is done to a wave, and the network, are those of Resemblyzer 0.1.4, to
the bit, so figures of either compare. Needs the extra `eval` (librosa and webrtcvad-wheels).

Shapes: N = samples at RATE_HZ, W = windows of WINDOW samples, P = pieces, T = frames of a piece, C = mel channels,
E = 256.
"""

from functools import cache
from pathlib import Path

import librosa
import numpy as np
import torch
import webrtcvad
from safetensors.torch import load_file
from torch import nn

WEIGHTS = Path(__file__).parents[1] / "assets" / "speaker_encoder" / "weights.safetensors"
RATE_HZ = 16_000
HOP, MEL_WINDOW, CHANNELS = 160, 400, 40
PIECE_FRAMES, PIECES_A_SECOND = 160, 1.3
LEAST_COVERED = 0.75  # of the last piece, for it to be heard
LOUDNESS_DB = -30  # of full scale; quieter waves are raised to it
FULL_SCALE = 2**15 - 1
WINDOW = 480  # 30 ms: what the detector of voice decides on at once
SMOOTHED, KEPT_AROUND = 8, 3  # windows: averaged over, and kept at either side of speech


class SpeakerEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(CHANNELS, 256, 3, batch_first=True)
        self.linear = nn.Linear(256, 256)

    def forward(self, mel_PTC: torch.Tensor) -> torch.Tensor:
        """The embeddings [P, E], of unit length, of pieces of a mel spectrogram."""
        _, (hidden_LPE, _) = self.lstm(mel_PTC)
        raw_PE = self.linear(hidden_LPE[-1]).relu()
        return raw_PE / torch.norm(raw_PE, dim=1, keepdim=True)

    @torch.no_grad()
    def embed(self, speech_N: np.ndarray) -> np.ndarray:
        """The embedding [E], of unit length, of speech as `speech_in` gives it: the mean over pieces of 1.6 s."""
        starts = piece_starts(len(speech_N))
        missing = max(0, (starts[-1] + PIECE_FRAMES) * HOP - len(speech_N))
        mel_TC = power_mel(np.pad(speech_N, (0, missing)))
        mel_PTC = np.stack([mel_TC[start : start + PIECE_FRAMES] for start in starts])
        mean_E = self(torch.from_numpy(mel_PTC)).numpy().mean(axis=0)
        return mean_E / np.linalg.norm(mean_E)


@cache
def load_encoder() -> SpeakerEncoder:
    """The trained encoder, on the CPU."""
    encoder = SpeakerEncoder()
    encoder.load_state_dict(load_file(WEIGHTS))
    return encoder.eval()


def speech_in(wave_N: np.ndarray) -> np.ndarray:
    """The wave at the encoder's level, without its long silences. Raises ValueError where nothing is left."""
    whole = len(wave_N) // WINDOW * WINDOW
    speech_N = raised(wave_N)[:whole]
    speech_N = speech_N[np.repeat(voiced(speech_N), WINDOW)]
    if not len(speech_N):
        raise ValueError(f"a wave of {len(wave_N) / RATE_HZ:.2f} s holds no speech, so it has no voice to compare")
    return speech_N


def raised(wave_N: np.ndarray) -> np.ndarray:
    """The wave at LOUDNESS_DB or above; silence as it is."""
    rms = np.sqrt(np.mean((wave_N * FULL_SCALE) ** 2)) if len(wave_N) else 0
    if not rms:
        return wave_N
    missing_db = LOUDNESS_DB - 20 * np.log10(rms / FULL_SCALE)
    return wave_N if missing_db < 0 else wave_N * 10 ** (missing_db / 20)


def voiced(wave_N: np.ndarray) -> np.ndarray:
    """Which windows [W] of a wave are kept: those in which WebRTC's detector hears a voice, smoothed and widened."""
    detector = webrtcvad.Vad(3)
    windows_WN = np.round(wave_N * FULL_SCALE).astype(np.int16).reshape(-1, WINDOW)
    heard_W = np.array([detector.is_speech(window.tobytes(), RATE_HZ) for window in windows_WN], dtype=float)
    if not len(heard_W):
        return heard_W.astype(bool)
    padded = np.pad(heard_W, ((SMOOTHED - 1) // 2, SMOOTHED // 2))
    mostly_W = np.convolve(padded, np.ones(SMOOTHED), "valid") > SMOOTHED / 2
    widened = np.convolve(mostly_W, np.ones(2 * KEPT_AROUND + 1), "full")
    return widened[KEPT_AROUND : KEPT_AROUND + len(heard_W)] > 0


def piece_starts(samples: int) -> list[int]:
    """The first frames of the pieces that speech of so many samples is heard in; the last may reach over its end."""
    frames = -(-(samples + 1) // HOP)
    step = round(RATE_HZ / PIECES_A_SECOND / HOP)
    starts = list(range(0, max(1, frames - PIECE_FRAMES + step + 1), step))
    covered = (samples - starts[-1] * HOP) / (PIECE_FRAMES * HOP)
    return starts[:-1] if len(starts) > 1 and covered < LEAST_COVERED else starts


def power_mel(wave_N: np.ndarray) -> np.ndarray:
    """Mel spectrogram [T, C] of power, float32, not its logarithm."""
    mel_CT = librosa.feature.melspectrogram(y=wave_N, sr=RATE_HZ, n_fft=MEL_WINDOW, hop_length=HOP, n_mels=CHANNELS)
    return mel_CT.astype(np.float32).T
