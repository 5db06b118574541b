"""Some 235 more people who speak English, for quality/cloning.py --librispeech FOLDER.

FOLDER holds LibriSpeech (Panayotov et al. 2015; CC BY 4.0), or a part of it, its files named as they are there. To
train on: of each speaker below a folder *train-clean* the first recording, cut at its pauses, each piece with the
text that the recognizer hears in it. To be cloned, and never heard in training: those below a folder *test-other*.
Nothing of them is committed.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import librosa
import numpy as np
import soundfile

from benchmarks.corpora.speech_rows import as_loud, write
from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import decode_audio

PAUSE_S, PAUSE_DB = 0.1, 28.0  # a pause: so long, and so far below the loudest
LONG_ENOUGH_S, SHORT_ENOUGH_S = 1.0, 7.0  # of a piece
RECORDINGS_EACH = 10  # of somebody to be cloned
LETTERS_S = (8.0, 25.0)  # letters a second; others are misheard, or hold long pauses


def recordings(folder: Path, part: str) -> dict[str, list[Path]]:
    """Speaker -> recordings, in order, of a part of LibriSpeech. Raises UserError where there are none."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob(f"**/*{part}*/**/*.flac")):
        found.setdefault(path.stem.partition("-")[0], []).append(path)
    if not found:
        raise UserError(f"{folder} has no folder *{part}* with files SPEAKER-CHAPTER-NUMBER.flac, as LibriSpeech has.")
    return found


def unheard(folder: Path, rate_hz: int) -> dict[str, list[np.ndarray]]:
    """ "speaker-en" -> waves [N] of the people of test-other."""
    people = recordings(folder, "test-other")
    return {
        f"libri{speaker}-en": [decode_audio(path.read_bytes(), rate_hz) for path in paths[:RECORDINGS_EACH]]
        for speaker, paths in people.items()
    }


def make(folder: Path, out: Path) -> None:
    """train-librispeech.parquet in `out`."""
    people = recordings(folder, "train-clean")
    rows = [row for speaker, paths in people.items() for row in pieces(speaker, paths[0])]
    write(out, "librispeech", rows)
    minutes, number = sum(row["duration_s"] for row in rows) / 60, len({row["speaker"] for row in rows})
    print(f"{len(rows)} pieces of {number} people to train on, {minutes:.1f} minutes")


def pieces(speaker: str, path: Path) -> Iterator[dict]:
    """Yield a row for each piece of a recording in which the recognizer hears about as much as people say in it."""
    from benchmarks.quality.heldout_speech import hear

    wave_N, rate_hz = soundfile.read(path, dtype="float32")
    for number, (start, end) in enumerate(cut(wave_N, rate_hz)):
        piece_N, seconds = wave_N[start:end], (end - start) / rate_hz
        [text] = hear([piece_N], rate_hz)
        if LETTERS_S[0] < len(text) / seconds < LETTERS_S[1]:
            yield {
                "id": f"librispeech/{path.stem}-{number}", "text": text, "audio": as_loud(piece_N, rate_hz),
                "speaker": f"libri{speaker}", "language": "en", "duration_s": seconds,
            }  # fmt: skip


def cut(wave_N: np.ndarray, rate_hz: int) -> list[tuple[int, int]]:
    """(start, end) samples of the pieces: the wave cut at its longest pause, again and again, until they are short."""
    sounding = librosa.effects.split(wave_N, top_db=PAUSE_DB, frame_length=1024, hop_length=256).tolist()
    found, waiting = [], [sounding] if sounding else []
    while waiting:
        stretch = waiting.pop()
        start, end = stretch[0][0], stretch[-1][1]
        pauses = [after[0] - before[1] for before, after in pairwise(stretch)]
        if end - start > SHORT_ENOUGH_S * rate_hz and max(pauses, default=0) >= PAUSE_S * rate_hz:
            longest = pauses.index(max(pauses)) + 1
            waiting += [stretch[longest:], stretch[:longest]]  # the first is taken next
        elif LONG_ENOUGH_S <= (end - start) / rate_hz <= SHORT_ENOUGH_S:
            found.append((start, end))
    return found
