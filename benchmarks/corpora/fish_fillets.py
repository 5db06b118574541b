"""Four people and what they say, for quality/cloning.py: the dialogs of the game Fish Fillets, Czech and Dutch.

    apt-get download fillets-ng-data fillets-ng-data-cs fillets-ng-data-nl

Debian's packages (GPL-2): two actors a language, a small fish and a big one, each with hundreds of lines and their
subtitles. Nothing of them is committed.
"""

import re
import tempfile
from pathlib import Path

import soundfile

from assets.demo_corpus.choose_heldout import hash_order
from benchmarks.corpora.debian import unpack
from benchmarks.corpora.speech_rows import as_loud, write

LANGUAGES = ("cs", "nl")
SPEAKERS = {"font_small": "smallfish", "font_big": "bigfish"}  # the color of a subtitle says who speaks
EACH, HELD_OUT = 300, 30  # lines of each person
LONG_ENOUGH_S, SHORT_ENOUGH_S = 0.6, 9.0
GAME = Path("usr/share/games/fillets-ng")
# dialogId("name", "font_big", "in English") and, after it, dialogStr("as it is spoken").
QUOTED = r'"((?:[^"\\]|\\.)*)"'
LINE = re.compile(rf"dialogId\({QUOTED},\s*{QUOTED},\s*{QUOTED}\)\s*dialogStr\({QUOTED}\)")


def packages() -> list[str]:
    return ["fillets-ng-data", *(f"fillets-ng-data-{language}" for language in LANGUAGES)]


def make(debs: Path, out: Path) -> None:
    """train-fish.parquet and heldout-fish.parquet in `out`. Raises UserError where a package is missing."""
    training, heldout = [], []
    with tempfile.TemporaryDirectory() as unpacked:
        for package in packages():
            unpack(debs, package, Path(unpacked))
        for language in LANGUAGES:
            spoken = lines(Path(unpacked) / GAME, language)
            for speaker in SPEAKERS.values():
                rows = list(readable(spoken, speaker, language))
                heldout += rows[:HELD_OUT]
                training += rows[HELD_OUT:]
    write(out, "fish", training, heldout)
    minutes = sum(row["duration_s"] for row in training) / 60
    print(f"{len(training)} lines of {len(SPEAKERS) * len(LANGUAGES)} people to train on, {minutes:.1f} minutes")


def lines(game: Path, language: str) -> dict[str, tuple[str, Path, str]]:
    """Id -> (speaker, recording, text) of every line that a fish speaks."""
    found = {}
    for script in sorted((game / "script").rglob(f"*dialogs_{language}.lua")):
        level = script.parent.relative_to(game / "script")
        for name, font, _, text in LINE.findall(script.read_text(encoding="utf-8")):
            recording = game / "sound" / level / language / f"{name}.ogg"
            if font in SPEAKERS and recording.is_file():
                found[f"{language}/{level}/{name}"] = SPEAKERS[font], recording, text.replace('\\"', '"')
    return found


def readable(spoken: dict[str, tuple[str, Path, str]], speaker: str, language: str):
    """Yield EACH + HELD_OUT rows of a speaker, by a hash of their ids, of lines that are of a usable length."""
    count = 0
    for line in sorted(spoken, key=hash_order):
        who, recording, text = spoken[line]
        if who != speaker or count == EACH + HELD_OUT:
            continue
        wave, rate_hz = soundfile.read(recording, dtype="float32", always_2d=True)
        wave_N = wave.mean(1)
        seconds, peak = len(wave_N) / rate_hz, abs(wave_N).max(initial=0.0)
        if not LONG_ENOUGH_S < seconds < SHORT_ENOUGH_S or not peak:
            continue
        count += 1
        yield {
            "id": f"fish/{line}", "text": text, "audio": as_loud(wave_N, rate_hz), "speaker": f"{speaker}_{language}",
            "language": language, "duration_s": seconds,
        }  # fmt: skip
