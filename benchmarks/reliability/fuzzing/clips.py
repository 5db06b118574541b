"""Recordings as a reference: every format that soundfile writes, harmed, by path and as bytes."""

import io
import os
import random
import struct
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.reliability.fuzzing.drawn import Ill, cut, harmed, word
from data_pipeline.recordings.audio import header_of, read_samples

RATES = (8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000)
ENDINGS = (".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".raw", ".txt", "", ".WAV")


def clip(draw: random.Random, work: Path, kit) -> None:
    content = draw.choice(kit.recordings) if draw.random() < 0.4 else written(draw, kit.wave)
    for _ in range(draw.choice([0, 1, 1, 1, 2])):
        content = draw.choice([cut, _near_its_start, _number_in_header, _joined, _flipped])(draw, content)
    path = work / f"clip{draw.choice(ENDINGS)}"
    path.write_bytes(content)
    if draw.random() < 0.1:
        path = _no_file(draw, path)
    given = draw.choice([str(path), content])
    heard = kit.processor.feature_extractor(given)
    if not (heard["reference_mel"].isfinite().all() and heard["reference_spectrum"].isfinite().all()):
        raise Ill("no numbers", "a clip that was read is heard as what is no number")
    header, read = header_of(given), read_samples(given)
    if len(read.wave_N) > 1.25 * header.seconds * header.rate_hz + 0.2 * header.rate_hz:
        raise Ill(
            "another length", f"its header says {header.seconds} s, and {len(read.wave_N) / read.rate_hz} are read"
        )


def written(draw: random.Random, wave: np.ndarray) -> bytes:
    """A recording in a format, depth, rate and number of channels that soundfile knows; not all go together."""
    while True:
        kind = draw.choice(list(soundfile.available_formats()))
        if kind in ("RAW", "SD2"):  # no header tells of it; a second file of it would lie in the folder at hand
            continue
        subtype, rate_hz, channels = draw.choice(list(soundfile.available_subtypes(kind))), draw.choice(RATES), 1
        channels = draw.choice([1, 1, 2, 3, 8])
        is_whole = subtype in ("FLOAT", "DOUBLE")  # the other encoders end the process at what is no number
        samples = np.stack([_odd_samples(draw, wave, is_whole)] * channels, axis=1)
        file = io.BytesIO()
        try:
            soundfile.write(file, samples, rate_hz, format=kind, subtype=subtype)
        except (soundfile.LibsndfileError, ValueError, TypeError):
            continue
        return file.getvalue()


def _odd_samples(draw: random.Random, wave: np.ndarray, is_whole: bool) -> np.ndarray:
    wave = wave[: draw.choice([0, 1, 10, 400, len(wave), len(wave), len(wave), len(wave)])].copy()
    odd = draw.choice([None, None, None, 0.0, *([np.nan, np.inf, 1e30, 1e-30] if is_whole else [])])
    if odd is not None and len(wave):
        wave[:: draw.choice([1, 7, len(wave)])] = odd
    return wave


def _near_its_start(draw: random.Random, content: bytes) -> bytes:
    return harmed(draw, content[:200]) + content[200:]


def _number_in_header(draw: random.Random, content: bytes) -> bytes:
    """Lengths, rates, channels stand in some four or two bytes near the beginning."""
    data = bytearray(content)
    at = draw.randrange(0, max(1, min(len(data), 120)))
    size = draw.choice([1, 2, 4, 8])
    new = draw.choice([0, 1, 2**7, 2**15 - 1, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**63 - 1, draw.getrandbits(60)])
    data[at : at + size] = struct.pack(draw.choice("<>") + "Q", new)[:size]
    return bytes(data)


def _joined(draw: random.Random, content: bytes) -> bytes:
    return draw.choice([content * 2, content + draw.randbytes(500), draw.randbytes(draw.randrange(5000))])


def _flipped(draw: random.Random, content: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(min(len(data), draw.choice([1, 10, 300]))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def _no_file(draw: random.Random, path: Path) -> str:
    """What is named is no regular file."""
    path.unlink()
    how = draw.randrange(5)
    if how == 0:
        os.mkfifo(path)
    elif how == 1:
        path.mkdir()
    elif how == 2:
        path.symlink_to(draw.choice(["/dev/zero", path.name, "/proc/self/mem"]))
    elif how == 3:
        return draw.choice([f"{path}{word(draw)}", "x" * 5000, "file:///etc/passwd", "foo://x", "::", "zip://a::b"])
    return str(path)
