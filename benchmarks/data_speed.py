"""What the data costs: python benchmarks/data_speed.py

Utterances of the demo corpus a second, on one thread of one process, from files (flac beside a csv) and from parquet:
decoded to collated batches as training has them, nothing kept from an epoch before (Goya), against a pipeline as one
writes it with datasets, torchaudio's MelSpectrogram and Resample and padded batches in random order (plain), and
against decoding and resampling alone (decode), below which nothing gets. Also the share of padding, on the demo corpus
and, against random order, on made lengths with a long tail (half under 2 s, one in a hundred up to 20 s).
Each in turn in every repeat. Prints one table and writes benchmarks/results/data_speed.json. Wants an idle core.
"""

import argparse
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a script's own folder is on the path, its parent is not

import datasets  # noqa: E402
import numpy as np  # noqa: E402
import soundfile  # noqa: E402
import torch  # noqa: E402
import torchaudio  # noqa: E402
from torch.nn.utils.rnn import pad_sequence  # noqa: E402

from benchmarks import command_line  # noqa: E402
from benchmarks.main_job import commit, machine, now  # noqa: E402
from data_pipeline.audio import AudioConfig, decode_audio, duration_s  # noqa: E402
from data_pipeline.collate import Batch  # noqa: E402
from data_pipeline.columns import ColumnNames  # noqa: E402
from data_pipeline.loader import Loader  # noqa: E402
from data_pipeline.plan import Cursor  # noqa: E402
from data_pipeline.sources import open_source  # noqa: E402
from training.arguments import parse  # noqa: E402
from training.inputs import build_inputs  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "data_speed.json"
CORPUS = ROOT / "assets" / "demo_corpus" / "train-en.parquet"
AUDIO = AudioConfig()
BATCH, FRAMES_PER_STEP = 8, 2
TAIL_ROWS = 3000


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/data_speed.py", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--rows", type=int, default=200, help="utterances each time (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        parquet, files = made(Path(folder), arguments.rows)
        contenders: dict[str, Callable[[], int]] = {
            f"{name}, {kind}": lambda run=run, where=where: run(where)
            for kind, where in (("parquet", parquet), ("files", files))
            for name, run in (("goya", goya), ("plain", plain), ("decode", decode))
        }
        rates: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(arguments.repeats):
            for name, run in contenders.items():
                started = time.perf_counter()
                rates[name].append(run() / (time.perf_counter() - started))
        padding = {"goya, demo corpus": padded_share(loader(CORPUS.parent).epoch(Cursor()))}
        padding |= long_tail(Path(folder))
    results = {"machine": machine(), "date": now(), "commit": commit(), "load": os.getloadavg()[0]}
    results |= {"rows": arguments.rows, "utterances_per_s": rates, "padded_share": padding, "figures": figures(rates)}
    command_line.write_json(results, arguments.out)
    print(table(results))
    return 0


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


def loader(where: Path) -> Loader:
    """As training has it, but in this process, with no features kept."""
    words = (
        f"--model-size tiny --num-workers 0 --batch-size {BATCH} --set data.cache_mb=0 --set data.val_fraction=0.0001"
    )
    config, _, _ = parse(["--train-data", str(where), *words.split()])
    return build_inputs(config, FRAMES_PER_STEP, rank=0, world_size=1).train


def goya(where: Path) -> int:
    return sum(len(batch.ids) for batch in loader(where).epoch(Cursor()))


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


def padded_share(batches: Iterator[Batch]) -> float:
    """Share of the frames of all batches that no utterance has."""
    frames = real = 0
    for batch in batches:
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


def figures(rates: dict[str, list[float]]) -> dict:
    """Ratios within a repeat."""
    found = {}
    for kind in ("parquet", "files"):
        for other in ("plain", "decode"):
            pairs = zip(rates[f"goya, {kind}"], rates[f"{other}, {kind}"], strict=True)
            each = [mine / its for mine, its in pairs]
            found[f"loader_vs_{other}, {kind}"] = [statistics.median(each), min(each), max(each)]
    return found


def table(results: dict) -> str:
    lines = [f"{results['machine']}; {results['rows']} utterances a repeat"]
    lines += [f"{n:<28}{statistics.median(e):>9.1f} utterances/s" for n, e in results["utterances_per_s"].items()]
    lines += [f"{name:<28}{m:>9.2f} ({low:.2f} to {high:.2f})" for name, (m, low, high) in results["figures"].items()]
    lines += [f"padding, {name:<19}{share:>9.1%}" for name, share in results["padded_share"].items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
