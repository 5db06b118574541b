"""What the data costs: python -m benchmarks.speed.data_speed

Utterances of the demo corpus a second, on one thread of one process, from files (flac beside a csv) and from parquet
(Opus): decoded to collated batches as training has them, in a first epoch (first) and in one after it, which finds
decoded features in memory (later), against a pipeline as one writes it with datasets, torchaudio's MelSpectrogram and
Resample and padded batches in random order (plain), and against decoding and resampling alone (decode), below which
nothing that decodes gets. Each in turn in every repeat.

Also the share of padding, on the demo corpus and, against random order, on made lengths with a long tail (half under
2 s, one in a hundred up to 20 s); and seconds from opening a corpus of made rows to its first batch. Prints one table
and writes benchmarks/results/data_speed.json. Wants an idle core. What memory it takes: plan_memory.py; how much of a
run waits for data: quality/main_job.py.
"""

import argparse
import io
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import datasets
import numpy as np
import soundfile
import torch
import torchaudio
from torch.nn.utils.rnn import pad_sequence

from benchmarks.harness import command_line
from benchmarks.harness.places import DEMO, RESULTS
from benchmarks.harness.provenance import origin
from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.loader import Loader
from data_pipeline.reading.columns import ColumnNames
from data_pipeline.reading.sources import open_source
from data_pipeline.recordings.audio import AudioConfig, decode_audio, duration_s
from training.config.arguments import parse
from training.setup.inputs import build_inputs

OUT = RESULTS / "data_speed.json"
CORPUS = DEMO / "train-en.parquet"
AUDIO = AudioConfig()
BATCH, FRAMES_PER_STEP = 8, 2
TAIL_ROWS = 3000
PADDED_EPOCHS = 3
START_ROWS = (1_000, 100_000)


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--rows", type=int, default=200, help="utterances each time (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rates = measured(contenders(folder, arguments.rows), arguments.repeats)
        padding = {"goya, demo corpus": padded_share(loader(DEMO, cached=True))} | long_tail(folder)
        starts = {rows: [start_s(folder, rows) for _ in range(arguments.repeats)] for rows in START_ROWS}
    results = origin() | {"load": os.getloadavg()}
    results |= {"rows": arguments.rows, "utterances_per_s": rates, "padding": padding, "start_s": starts}
    results["figures"] = figures(rates, padding, starts)
    command_line.write_json(results, arguments.out)
    print(table(results))
    return 0


def contenders(folder: Path, rows: int) -> dict[str, Callable[[], int]]:
    """Name -> what goes through one epoch, and says how many utterances that were."""
    parquet, files = made(folder, rows)
    found: dict[str, Callable[[], int]] = {}
    for kind, where in (("parquet", parquet), ("files", files)):
        found[f"first, {kind}"] = partial(first, where)
        found[f"later, {kind}"] = later(where)
        found[f"plain, {kind}"] = partial(plain, where)
        found[f"decode, {kind}"] = partial(decode, where)
    return found


def measured(runs: dict[str, Callable[[], int]], repeats: int) -> dict[str, list[float]]:
    """Utterances a second of each in each repeat."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.perf_counter()
            rates[name].append(run() / (time.perf_counter() - started))
    return rates


def made(folder: Path, rows: int) -> tuple[Path, Path]:
    """(parquet, csv beside flac files) of the first rows of the corpus."""
    table = datasets.Dataset.from_parquet(str(CORPUS), cache_dir=str(folder / "cache"))
    table = table.cast_column("audio", datasets.Audio(decode=False)).select(range(rows))
    table.to_parquet(folder / "rows.parquet")
    lines = ["path,text,speaker,language"]
    for number, row in enumerate(table):
        wave, rate_hz = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
        soundfile.write(folder / f"{number}.flac", wave, rate_hz)
        lines.append(f'{number}.flac,"{row["text"].replace(chr(34), "")}",{row["speaker"]},{row["language"]}')
    (folder / "rows.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder / "rows.parquet", folder / "rows.csv"


def loader(where: Path, cached: bool = False) -> Loader:
    """As training has it, but in this process; with features kept only where `cached`."""
    words = f"--model-size tiny --init-from none --num-workers 0 --batch-size {BATCH} --set data.val_fraction=0.0001"
    words += "" if cached else " --set data.cache_mb=0"
    config, _, _ = parse(["--train-data", str(where), *words.split()])
    return build_inputs(config, FRAMES_PER_STEP, rank=0, world_size=1).train


def first(where: Path) -> int:
    return sum(len(batch.ids) for batch in loader(where).epoch(Cursor()))


def later(where: Path) -> Callable[[], int]:
    """What goes through an epoch that is not the first, another one each time."""
    one, epochs = loader(where, cached=True), itertools.count()

    def run() -> int:
        return sum(len(batch.ids) for batch in one.epoch(one.plan.start(next(epochs))))

    run()
    return run


def plain(where: Path) -> int:
    """Log-mels [B, T, C] in random order, padded to the longest of a batch."""
    kind = "parquet" if where.suffix == ".parquet" else "csv"
    rows = datasets.load_dataset(kind, data_files=str(where), split="train", streaming=False)
    mel = torchaudio.transforms.MelSpectrogram(
        AUDIO.sample_rate_hz, AUDIO.n_fft, hop_length=AUDIO.hop, n_mels=AUDIO.n_mels
    )

    def features(row: dict) -> torch.Tensor:
        file = io.BytesIO(row["audio"]["bytes"]) if "audio" in row else where.parent / row["path"]
        wave, rate_hz = soundfile.read(file, dtype="float32")
        wave = torchaudio.transforms.Resample(rate_hz, AUDIO.sample_rate_hz)(torch.from_numpy(wave))
        return mel(wave).clamp(min=1e-5).log().T

    if "audio" in rows.column_names:
        rows = rows.cast_column("audio", datasets.Audio(decode=False))
    batches = torch.utils.data.DataLoader(rows, BATCH, shuffle=True, collate_fn=list)
    return sum(len(pad_sequence([features(row) for row in each], batch_first=True)) for each in batches)


def decode(where: Path) -> int:
    source = open_source(str(where), columns=ColumnNames())
    return sum(len(decode_audio(source.to_utterance(row).audio, AUDIO.sample_rate_hz)) > 0 for row in source.rows())


def padded_share(one: Loader) -> float:
    """Share of the frames of all batches of some epochs that no utterance has."""
    frames = real = 0
    for epoch in range(PADDED_EPOCHS):
        for batch in one.epoch(one.plan.start(epoch)):
            frames += batch.tensors["mel"].shape[0] * batch.tensors["mel"].shape[1]
            real += int(batch.tensors["mel_lengths"].sum())
    return 1 - real / frames


def long_tail(folder: Path) -> dict[str, float]:
    """Padding of planned batches of silences of made lengths, and of the same in random order."""
    random = np.random.default_rng(0)
    lengths_s = np.clip(random.lognormal(0.7, 0.8, TAIL_ROWS), 0.4, 19.9).tolist()
    rows = [{"id": str(number), "text": "a", "audio": silence(one)} for number, one in enumerate(lengths_s)]
    where = folder / "tail.parquet"
    datasets.Dataset.from_list(rows).to_parquet(where)
    every_plan = loader(where).plan.epoch(Cursor())
    planned = [[duration_s(entry.audio) for entry in batch.entries] for batch in every_plan if batch.entries]
    shuffled = [lengths_s[start : start + BATCH] for start in range(0, TAIL_ROWS, BATCH)]
    return {
        f"{name}, long tail": 1 - sum(map(sum, each)) / sum(len(batch) * max(batch) for batch in each)
        for name, each in (("goya", planned), ("plain", shuffled))
    }


def silence(length_s: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(int(length_s * 8000), np.int16), 8000, format="FLAC")
    return file.getvalue()


def start_s(folder: Path, rows: int) -> float:
    """From opening a csv of so many rows, that share recordings, to its first batch; decoding that one is in it."""
    where = folder / "start.csv"
    head, *lines = (folder / "rows.csv").read_text(encoding="utf-8").splitlines()
    where.write_text("\n".join([head, *itertools.islice(itertools.cycle(lines), rows)]), encoding="utf-8")
    started = time.perf_counter()
    next(loader(where).epoch(Cursor()))
    return time.perf_counter() - started


def figures(rates: dict[str, list[float]], padding: dict[str, float], starts: dict[int, list[float]]) -> dict:
    """Ratios are of the same repeat. The demo corpus' own format is parquet, which has no suffix."""
    found = {}
    for kind, suffix in (("parquet", ""), ("files", "_files")):
        for mine, name in (("first", "loader"), ("later", "loader_later_epochs")):
            for other in ("plain", "decode"):
                pairs = zip(rates[f"{mine}, {kind}"], rates[f"{other}, {kind}"], strict=True)
                found[f"{name}_vs_{other}{suffix}"] = command_line.spread([one / its for one, its in pairs])
    found |= {f"start_s_{rows}_rows": command_line.spread(seconds) for rows, seconds in starts.items()}
    return found | {
        "padded_share": padding["goya, demo corpus"],
        "padded_share_long_tail": padding["goya, long tail"],
    }


def table(results: dict) -> str:
    lines = [f"{results['machine']}; {results['rows']} utterances a repeat; load {results['load'][0]:.1f}"]
    lines += [f"{n:<38}{statistics.median(e):>9.1f} utterances/s" for n, e in results["utterances_per_s"].items()]
    lines += [f"padding, {name:<29}{share:>9.1%}" for name, share in results["padding"].items()]
    for name, value in results["figures"].items():
        if isinstance(value, dict):
            lines.append(f"{name:<38}{value['median']:>9.2f} ({value['least']:.2f} to {value['most']:.2f})")
        else:
            lines.append(f"{name:<38}{value:>9.1%}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
