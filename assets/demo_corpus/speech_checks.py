"""Does a recording say its text? Three checks: level, speaking rate, and for English a speech recognizer."""

import re
import unicodedata
from pathlib import Path

import numpy as np
from num2words import num2words

FRAME_S = 0.02
VOWELS = "aeiouyàóé"


def letters_said(text: str, language: str) -> str:
    """Lower-case letters of the text, numbers as words, no spaces or punctuation: what CER is taken over.

    Spaces are left out because a compound written apart ("re-record", "log in") sounds the same.
    """
    words = re.sub(r"\d+", lambda m: f" {num2words(int(m.group()), lang=language)} ", text)
    return "".join(c for c in unicodedata.normalize("NFC", words.lower()) if c.isalpha())


def spoken_length(text: str, language: str) -> int:
    """Letters of the text for the speaking rate: a consonant alone is spelled out and counts as four."""
    spelled = sum(len(w) == 1 and w.isalpha() and w not in VOWELS for w in re.findall(r"\w+", text.lower()))
    return max(1, len(letters_said(text, language)) + 3 * spelled)


def edit_distance(a: str, b: str) -> int:
    """Levenshtein distance, by rows of the dynamic program (O(len(a)) numpy steps)."""
    row = np.arange(len(b) + 1)
    columns = np.arange(1, len(b) + 1)
    codes = np.array([ord(c) for c in b], dtype=np.int64)
    for i, c in enumerate(a, 1):
        best = np.minimum(row[1:] + 1, row[:-1] + (codes != ord(c)))
        # an insertion chain from the left: minimum over k <= j of best[k] + (j - k)
        chain = np.minimum.accumulate(np.concatenate(([i], best - columns))) + np.arange(len(b) + 1)
        row = chain
    return int(row[-1])


def error_rate(reference: str, hypothesis: str) -> float:
    return edit_distance(reference, hypothesis) / max(1, len(reference))


def speech_level_db(wave: np.ndarray, sample_rate_hz: int) -> tuple[float, float]:
    """(loud, quiet): 95th and 5th percentile of the frame levels [dB of full scale] of a wave [N] in -1..1."""
    frame = int(FRAME_S * sample_rate_hz)
    frames = wave[: len(wave) // frame * frame].reshape(-1, frame)
    level_db = 20 * np.log10(np.sqrt((frames**2).mean(axis=1)) + 1e-6)
    loud, quiet = np.percentile(level_db, [95, 5])
    return float(loud), float(quiet)


def speech_s(wave: np.ndarray, sample_rate_hz: int, below_peak_db: float = 35.0) -> float:
    """Seconds from the first to the last frame within `below_peak_db` of the loudest one."""
    frame = int(FRAME_S * sample_rate_hz)
    frames = wave[: len(wave) // frame * frame].reshape(-1, frame)
    level_db = 20 * np.log10(np.sqrt((frames**2).mean(axis=1)) + 1e-6)
    loud = np.flatnonzero(level_db > level_db.max() - below_peak_db)
    return float((loud[-1] - loud[0] + 1) * FRAME_S)


def rate_outliers(letters: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Robust z-score [N] of log seconds given log letters, and nothing else, by language.

    The expected duration is a + b * letters (a: the onset every prompt pays), fitted by iterated least
    absolute deviation on log(seconds); the scale is 1.4826 * median absolute deviation.
    """
    a, b = 0.3, 0.06
    for _ in range(200):
        expected = a + b * letters
        weight = 1 / np.maximum(np.abs(np.log(seconds / expected)), 0.02) / expected**2
        design = np.stack([np.ones_like(letters), letters], axis=1)
        a, b = np.linalg.lstsq(design * np.sqrt(weight)[:, None], seconds * np.sqrt(weight), rcond=None)[0]
        a = max(a, 0.05)
    deviation = np.log(seconds / (a + b * letters))
    center = np.median(deviation)
    return (deviation - center) / (1.4826 * np.median(np.abs(deviation - center)))


class Recognizer:
    """English speech recognition by the moonshine-voice package (its model comes inside it, MIT)."""

    def __init__(self) -> None:
        import moonshine_voice  # only needed where no result is kept from an earlier build

        folder = Path(moonshine_voice.__file__).parent / "assets" / "tiny-en"
        self.transcriber = moonshine_voice.Transcriber(
            model_path=str(folder), model_arch=moonshine_voice.ModelArch.TINY
        )

    def __call__(self, wave_16khz: np.ndarray) -> str:
        lines = self.transcriber.transcribe_without_streaming(wave_16khz.tolist(), 16000).lines
        return " ".join(line.text for line in lines)
