"""A folder of clean recordings of the demo corpus, among them one of each kind of dirt that the check has to find."""

from pathlib import Path

import numpy as np
import pyarrow.parquet
import soundfile
import soxr

from data_pipeline.recordings.audio import decode_audio
from testing.small_runs import DEMO

RATE_HZ = 16_000
CLEAN = 60
SYMBOL = "\u16a0"  # a rune, which the vocabulary has not


def clean_rows(count: int) -> list[dict]:
    """English recordings of 1.5 to 4 s with the waves, 16 kHz float32 [N], under "wave"; no text twice."""
    rows = pyarrow.parquet.read_table(DEMO / "train-en.parquet").to_pylist()
    by_text = {row["text"]: row for row in rows if 1.5 < row["duration_s"] < 4 and len(row["text"]) > 15}
    chosen = list(by_text.values())[:count]
    assert len(chosen) == count
    return [row | {"wave": decode_audio(row["audio"]["bytes"], RATE_HZ)} for row in chosen]


def loudest(wave_N: np.ndarray) -> int:
    """The middle of the loudest tenth of a second."""
    power = np.convolve(np.square(wave_N), np.ones(RATE_HZ // 10), mode="same")
    return int(power.argmax())


def clipped(wave_N: np.ndarray) -> np.ndarray:
    """Amplified four times beyond full scale, then made quieter."""
    return 0.5 * np.clip(wave_N / np.abs(wave_N).max() * 4, -1, 1)


def noisy(wave_N: np.ndarray) -> np.ndarray:
    """White noise 5 dB below the speech."""
    noise = np.random.default_rng(0).normal(size=len(wave_N)) * np.sqrt(np.square(wave_N).mean() * 10**-0.5)
    return 0.5 * (wave_N + noise)


def cut(wave_N: np.ndarray) -> np.ndarray:
    """Within a sound of its second half."""
    half = len(wave_N) // 2
    return wave_N[: half + loudest(wave_N[half:])]


def mostly_silence(wave_N: np.ndarray) -> np.ndarray:
    return np.pad(wave_N, (2 * len(wave_N), len(wave_N)))


# Kind of finding -> what is done to the recording, the text stays.
SPOILT = {
    "silent": lambda wave: 0 * wave,
    "clipped": clipped,
    "noisy": noisy,
    "cut": cut,
    "silence": mostly_silence,
    "level": lambda wave: 0.04 * wave,
}
# Kind of finding -> the text in place of the true one, whose recording stays.
REWRITTEN = {
    "no_words": lambda text: "...",
    "too_long": lambda text: text * 6,
    "rate": lambda text: text.split()[0],
    "in_bytes": lambda text: f"{text} {SYMBOL}",
}
# Kinds that are written one by one.
ALSO = ("left_out", "same_words", "other_rate", "rumble", "opposite", "cut_off", "unreadable")


def write(folder: Path) -> dict[str, set[str]]:
    """Writes metadata_train.csv and wavs/; the ids of each kind of dirt."""
    (folder / "wavs").mkdir(parents=True)
    rows = clean_rows(CLEAN + len(SPOILT) + len(REWRITTEN) + 5)
    lines, rest = [], iter(rows)
    found: dict[str, set[str]] = {}

    def put(name: str, wave_N: np.ndarray, text: str, rate_hz: int = RATE_HZ) -> None:
        soundfile.write(folder / "wavs" / f"{name}.wav", wave_N, rate_hz)
        lines.append(f"wavs/{name}.wav|{text}|allison")

    for number in range(CLEAN):
        row = next(rest)
        put(f"clean-{number:02}", row["wave"], row["text"])
    for kind, spoil in SPOILT.items():
        row = next(rest)
        put(kind, spoil(row["wave"]), row["text"])
        found[kind] = {f"wavs/{kind}"}
    for kind, rewrite in REWRITTEN.items():
        row = next(rest)
        put(kind, row["wave"], rewrite(row["text"]))
        found[kind] = {f"wavs/{kind}"}
    first, second, third, fourth, fifth = rest
    put("same_words", rows[0]["wave"], rows[0]["text"].upper() + "!")
    put("other_words", rows[1]["wave"], rows[2]["text"])
    put("other_rate", soxr.resample(first["wave"], RATE_HZ, 8000), first["text"], 8000)
    put("rumble", 0.5 * fourth["wave"] + 0.2, fourth["text"])
    put("opposite", np.stack([fifth["wave"], -0.9 * fifth["wave"]], axis=1), fifth["text"])
    put("cut_off", second["wave"], second["text"])
    put("left_out", np.tile(rows[3]["wave"], 20), f"{rows[3]['text']} for a minute")
    path = folder / "wavs" / "cut_off.wav"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    (folder / "wavs" / "unreadable.wav").write_bytes(b"RIFF, or so it says")
    lines.append(f"wavs/unreadable.wav|{third['text']}|allison")
    found |= {kind: {f"wavs/{kind}"} for kind in ALSO}
    found["other_words"] = {"wavs/other_words", "wavs/clean-01"}
    (folder / "metadata_train.csv").write_text("\n".join(["file|text|speaker", *lines]) + "\n", encoding="utf-8")
    return found
