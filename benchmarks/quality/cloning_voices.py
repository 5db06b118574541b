"""The voices that cloning.py clones: recorded ones, and ones made of these by moving formants and pitch.

Recorded: the speakers that the model was trained on, in recordings that were held out, and up to 14 people it never
heard, out of Debian's packages of prompts and of a game for children. A made voice is no other person: it is a
recording with its formants and pitch moved. No clip here was trained on. Shapes: N = samples.
"""

import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import decode_audio, trim_silence
from data_pipeline.recordings.speaker_augmentation import shifted, voice_shift
from data_pipeline.utterance import VoiceShift

CLIP_S, OTHERS = 5.0, 3  # seconds of a clip; clips of a voice beside the one that is cloned
TRAINED_SHIFTS = 200  # data.speaker_augmentation of the run: the unseen augmented voices have later numbers
SEEN_MADE, UNSEEN_MADE, UNSEEN_MADE_EACH = 10, 10, 3  # shifts: of trained speakers (two rows), of each new speaker
RECORDINGS_EACH = 40  # the longest of a person: half a minute or more
KTUBERLING = ("de", "el", "fr", "gl", "lt", "ru", "sl", "uk", "wa")
TRAINED_SHIFTED = ("allison-en", "june-fr")  # one of each person of the demo corpus
NEW_SPEAKERS_SHIFTED = ("carlo-it", "ivrvoice-ru")  # new speakers of prompts recorded at 16 kHz

# Speaker and language -> Debian's package, and the recordings of theirs in it. Of ktuberling's speakers, nameless
# volunteers who say single words, those whose recordings are all of one person by Resemblyzer (0.83 and more).
PEOPLE = {
    "carlo-it": ("asterisk-core-sounds-it-g722", "vm-*.*"),
    "ivrvoice-ru": ("asterisk-core-sounds-ru-g722", "vm-*.*"),
    "colombia-es": ("asterisk-prompt-es-co", "vm-*.*"),
    "armelle-fr": ("asterisk-prompt-fr-armelle", "vm-*.*"),
    "menardi-it": ("asterisk-prompt-it-menardi-wav", "vm-*.*"),
} | {f"ktuberling_{code}-{code}": ("ktuberling-data", f"sounds/{code}/**/*.*") for code in KTUBERLING}


@dataclass(frozen=True)
class Voice:
    """Someone's, as recorded or moved by `shift`: a clip [N] to clone, and others of the same voice.

    person: two voices of one person are the same, whatever language they speak.
    """

    name: str
    person: str
    shift: VoiceShift | None
    seen: bool
    clip_N: np.ndarray
    others: tuple[np.ndarray, ...]

    @property
    def is_english(self) -> bool:
        return self.name.partition(" ")[0].endswith("-en")

    @property
    def kind(self) -> str:
        return ("seen" if self.seen else "unseen") + (", recorded" if self.shift is None else ", made")


def heldout_recordings(corpus: Path, rate_hz: int) -> dict[str, list[np.ndarray]]:
    """ "speaker-language" -> its recordings [N] in the corpus' heldout*.parquet, the longest first."""
    import pyarrow.parquet as pq

    rows = [row for file in sorted(corpus.glob("heldout*.parquet")) for row in pq.read_table(file).to_pylist()]
    found: dict[str, list[np.ndarray]] = {}
    for row in sorted(rows, key=lambda row: (row["language"], row["speaker"], -row["duration_s"], row["id"])):
        voice = f"{row['speaker']}-{row['language']}"
        found.setdefault(voice, []).append(decode_audio(row["audio"]["bytes"], rate_hz))
    return found


def all_voices(
    trained: dict[str, list[np.ndarray]], new: dict[str, list[np.ndarray]], speaker_augmentation: int, rate_hz: int
) -> list[Voice]:
    """Every voice to clone, of recordings of the trained speakers and of new ones by "speaker-language".

    speaker_augmentation: shifts that the model was trained on, the first of speaker_augmentation's list.
    """
    trained = {name: clips(recordings, rate_hz) for name, recordings in trained.items()}
    new = {name: clips(recordings, rate_hz) for name, recordings in new.items()}
    voices = [_recorded(name, found, seen=True) for name, found in trained.items()]
    voices += [_recorded(name, found, seen=False) for name, found in new.items()]
    for number in range(SEEN_MADE):
        name = TRAINED_SHIFTED[number % len(TRAINED_SHIFTED)]
        voices.append(_made(name, trained[name], number, number < speaker_augmentation, rate_hz))
    for number in range(TRAINED_SHIFTS, TRAINED_SHIFTS + UNSEEN_MADE):
        voices += [
            _made(name, trained[name], number, number < speaker_augmentation, rate_hz) for name in TRAINED_SHIFTED
        ]
    for name in (name for name in NEW_SPEAKERS_SHIFTED if name in new):
        first = TRAINED_SHIFTS
        voices += [_made(name, new[name], number, False, rate_hz) for number in range(first, first + UNSEEN_MADE_EACH)]
    return voices


def clips(recordings: Iterable[np.ndarray], rate_hz: int) -> list[np.ndarray]:
    """1 + OTHERS clips of CLIP_S seconds, each of recordings of its own, one after another without their silence."""
    size, found, parts = round(CLIP_S * rate_hz), [], []
    for recording in recordings:
        parts.append(trim_silence(recording, rate_hz))
        if sum(map(len, parts)) >= size:
            found.append(np.concatenate(parts)[:size])
            parts = []
        if len(found) == 1 + OTHERS:
            return found
    raise UserError(f"Found {len(found)} clips of {CLIP_S:g} s; expected recordings enough for {1 + OTHERS}.")


def _recorded(name: str, found: list[np.ndarray], seen: bool) -> Voice:
    return Voice(name, name.partition("-")[0], None, seen, found[0], tuple(found[1:]))


def _made(name: str, found: list[np.ndarray], number: int, seen: bool, rate_hz: int) -> Voice:
    shift = voice_shift(number)
    label = f"{name} formants x{shift.formants:.2f} pitch x{shift.pitch:.2f}"
    clip_N, *others = (shifted(clip, rate_hz, shift) for clip in found)
    return Voice(label, label, shift, seen, clip_N, tuple(others))


def recorded_people(folder: Path, rate_hz: int) -> dict[str, list[np.ndarray]]:
    """Recordings of each of PEOPLE whose .deb lies in the folder, decoded. Raises UserError for none."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, (package, pattern) in PEOPLE.items():
            unpacked = Path(scratch) / package
            for deb in sorted(folder.glob(f"{package}_*.deb")) if not unpacked.exists() else []:
                subprocess.run(["dpkg-deb", "-x", str(deb), str(unpacked)], check=True)
            if unpacked.exists():
                found[name] = _longest(unpacked, pattern, rate_hz)
    if not found:
        packages = sorted({package for package, _ in PEOPLE.values()})
        raise UserError(f"{folder} holds none of the packages {', '.join(packages)}; get them with apt-get download.")
    return found


def _longest(folder: Path, pattern: str, rate_hz: int) -> list[np.ndarray]:
    """Waves [N], the longest first. Of the same size are copies of one recording, of which one is taken."""
    paths = {path.stat().st_size: path for path in sorted(folder.rglob(pattern)) if path.is_file()}
    return [_decoded(path, rate_hz) for _, path in sorted(paths.items(), reverse=True)[:RECORDINGS_EACH]]


def _decoded(path: Path, rate_hz: int) -> np.ndarray:
    command = ["ffmpeg", "-loglevel", "error", "-i", str(path), "-ac", "1", "-ar", str(rate_hz), "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, dtype="<f4")
