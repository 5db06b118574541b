"""Recordings that hold no numbers, and sources that stop answering."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow.parquet
import soundfile

from benchmarks.reliability.crash.forked import call
from benchmarks.reliability.fault.stage import Stage
from data_pipeline.recordings import audio

RATE_HZ = 22_050
COUNT = 24  # recordings
STALL_MINUTES = 0.02


def corpus_with_one(spoil, stage: Stage) -> Path:
    """A table with wavs beside it, the seventh of which went through `spoil`."""
    folder = stage.folder / "corpus"
    assert call(partial(_write_corpus, folder, stage.work / "corpus"), stage.log) == 0
    spoil(folder / "wavs" / "6.wav")
    return folder


def _write_corpus(folder: Path, small: Path) -> int:
    (folder / "wavs").mkdir(parents=True)
    lines = ["file|text"]
    rows = pyarrow.parquet.read_table(small / "train.parquet").to_pylist()
    for number, row in enumerate(rows[:COUNT]):
        wave = audio.decode_audio(row["audio"]["bytes"], RATE_HZ)
        soundfile.write(folder / "wavs" / f"{number}.wav", wave, RATE_HZ, subtype="FLOAT")
        lines.append(f"{number}.wav|{row['text']}")
    (folder / "metadata_train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


def not_finite(value: float, path: Path) -> None:
    wave, rate_hz = soundfile.read(path, dtype="float32")
    wave[len(wave) // 2] = value
    soundfile.write(path, wave, rate_hz, subtype="FLOAT")


def broken_audio(value: float, stage: Stage) -> str:
    corpus = corpus_with_one(partial(not_finite, value), stage)
    done = stage.train("--val-data", stage.work / "corpus", corpus=corpus)
    done.require_code(0)
    done.require_said("holds 1 samples that are NaN or infinite")
    done.require_said("6.wav")
    done.require(stage.has_finite_weights(), "finite weights")
    return "that recording is left out, said and named; the weights stay finite"


def stalled_source(stage: Stage) -> str:
    """The table is a pipe: opening it waits for a writer, who never comes."""
    pipe = stage.folder / "corpus.jsonl"
    os.mkfifo(pipe)
    return ends_soon(stage, 0, pipe)


@contextmanager
def one_file_stalls(pipe: Path) -> Iterator[None]:
    """Reading the seventh recording waits, as on a network disk that has gone."""
    plain = audio._read_file

    def read(path, *more):
        return os.open(pipe, os.O_RDONLY) if str(path).endswith("6.wav") else plain(path, *more)

    with mock.patch.object(audio, "_read_file", read):
        yield


def stalled_recording(workers: int, stage: Stage) -> str:
    """workers: loading processes."""
    pipe = stage.folder / "pipe"
    os.mkfifo(pipe)
    return ends_soon(stage, workers, corpus_with_one(Path.exists, stage), partial(one_file_stalls, pipe))


def ends_soon(stage: Stage, workers: int, corpus: Path, inside=nullcontext) -> str:
    options = ("--val-data", stage.work / "corpus", "--num-workers", workers)
    stall = ("--set", f"data.stall_minutes={STALL_MINUTES}")
    done = stage.train(*options, *stall, corpus=corpus, inside=inside, longest_s=60)
    done.require_code(2)
    done.require_said(f"No data came for {STALL_MINUTES:g} minutes (data.stall_minutes)")
    return "exit code 2 once data.stall_minutes are over, said where"


FAULTS = {
    "NaN in a recording": partial(broken_audio, np.nan),
    "infinity in a recording": partial(broken_audio, np.inf),
    "stalled source": stalled_source,
    "stalled recording": partial(stalled_recording, 0),
    "stalled recording, with a loading process": partial(stalled_recording, 1),
}
