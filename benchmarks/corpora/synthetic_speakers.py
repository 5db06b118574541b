"""Seven more voices with transcripts, for quality/cloning.py: synthesizers read the demo corpus' sentences.

    apt-get install flite; pip install ttspico

Five English voices, a Spanish and a French one beside the corpus' own, so that a text no longer tells who speaks it.
They are no people; each was made of the recordings of one. Nothing of them is committed.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import soundfile

from assets.demo_corpus.choose_heldout import hash_order
from benchmarks.corpora.speech_rows import as_loud, write
from benchmarks.harness.places import DEMO
from data_pipeline.errors import UserError

EACH, HELD_OUT = 250, 40  # sentences of a voice
LONG_ENOUGH_S, SHORT_ENOUGH_S, LOUD_ENOUGH = 0.3, 15.0, 0.01
PICO_RATE_HZ = 16_000
# Speaker -> language, synthesizer, its own name for the voice.
VOICES = {
    "awb": ("en", "flite", "awb"),
    "rms": ("en", "flite", "rms"),
    "slt": ("en", "flite", "slt"),
    "pico-us": ("en", "pico", "en-US"),
    "pico-gb": ("en", "pico", "en-GB"),
    "pico-es": ("es", "pico", "es-ES"),
    "pico-fr": ("fr", "pico", "fr-FR"),
}

Wave = tuple[np.ndarray, int]  # float32 [N], Hz


def make(out: Path) -> None:
    """train-synthetic.parquet and heldout-synthetic.parquet in `out`. Raises UserError without the synthesizers."""
    require()
    languages = {language for language, *_ in VOICES.values()}
    heldout = pq.read_table(DEMO / "heldout.parquet").to_pylist()
    training: list[dict] = []
    spoken: list[dict] = []
    for language in sorted(languages):
        own = pq.read_table(DEMO / f"train-{language}.parquet").to_pylist()
        others = [row for row in heldout if row["language"] == language]
        for speaker, (speaks, kind, voice) in VOICES.items():
            if speaks == language:
                say = SYNTHESIZERS[kind](voice)
                training += read_out(speaker, own, say, EACH)
                spoken += read_out(speaker, others, say, HELD_OUT)
    write(out, "synthetic", training, spoken)
    minutes = sum(row["duration_s"] for row in training) / 60
    print(f"{len(training)} sentences of {len(VOICES)} synthetic voices to train on, {minutes:.1f} minutes")


def require() -> None:
    """Raises UserError where a synthesizer is missing."""
    missing = [] if shutil.which("flite") else ["the program flite (apt-get install flite)"]
    missing += [] if find_spec("ttspico") else ["the package ttspico (pip install ttspico)"]
    if missing:
        raise UserError(f"The voices of synthesizers need {' and '.join(missing)}; not found here.")


def flite(voice: str) -> Callable[[str], Wave]:
    def say(text: str) -> Wave:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            subprocess.run(["flite", "-voice", voice, "-t", text, "-o", file.name], check=True, capture_output=True)
            return soundfile.read(file.name, dtype="float32")

    return say


def pico(voice: str) -> Callable[[str], Wave]:
    import ttspico

    engine = ttspico.TtsEngine(voice)
    return lambda text: (np.frombuffer(engine.speak(text), "<i2").astype(np.float32) / 2**15, PICO_RATE_HZ)


SYNTHESIZERS = {"flite": flite, "pico": pico}


def read_out(speaker: str, rows: list[dict], say: Callable[[str], Wave], most: int):
    """Yield up to `most` of the rows, by a hash of speaker and id, read out by a voice."""
    count = 0
    for row in sorted(rows, key=lambda row: hash_order(speaker + row["id"])):
        if count == most:
            return
        wave_N, rate_hz = say(row["text"])
        seconds, peak = len(wave_N) / rate_hz, abs(wave_N).max(initial=0.0)
        if not LONG_ENOUGH_S < seconds < SHORT_ENOUGH_S or peak < LOUD_ENOUGH:
            continue
        count += 1
        audio = as_loud(wave_N, rate_hz)
        yield row | {"id": f"{speaker}/{row['id']}", "audio": audio, "speaker": speaker, "duration_s": seconds}
