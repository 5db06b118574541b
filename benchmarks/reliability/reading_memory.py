"""Memory while a corpus is read: python -m benchmarks.reliability.reading_memory

A corpus of --gigabytes (2 by default) is written to a temporary folder out of the demo corpus, again and again, once as
parquet, tar, tables with files (csv, jsonl) and as a dataset of the Hub is laid out. A process of its own reads each to
its end as training does, through open_source and the plan's shuffling, and tells how much memory it took at a tenth of
the way and at the end: what streams takes the same. Prints one table and writes benchmarks/results/reading_memory.json.
"""

import argparse
import csv
import io
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow
import pyarrow.parquet

from benchmarks.harness import command_line
from benchmarks.harness.places import DEMO, RESULTS, ROOT
from benchmarks.harness.provenance import origin

OUT = RESULTS / "reading_memory.json"
GROUP_ROWS, FILE_ROWS = 1000, 20_000
FILES_OF_TABLE = 500  # different recordings: rows of a table name files, and reading does not hold them


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--gigabytes", type=float, default=2.0, help="of each corpus (default: %(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=WRITERS, default=list(WRITERS), help="(default: all)")
    parser.add_argument("--out", type=Path, default=OUT, help="the json to write (default: %(default)s)")
    parser.add_argument("--read", nargs=2, metavar=("KIND", "PLACE"), help=argparse.SUPPRESS)
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if arguments.read:
        print(json.dumps(read(*arguments.read)))
        return 0
    found = {}
    for kind in arguments.kinds:
        with tempfile.TemporaryDirectory(prefix="goya-reading-") as folder:
            size = WRITERS[kind](Path(folder), int(arguments.gigabytes * 1e9))
            command = [sys.executable, "-m", __spec__.name, "--read", kind, folder]
            done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
        found[kind] = {"corpus_mb": round(size / 1e6), **json.loads(done.stdout.splitlines()[-1])}
        print(f"{kind:<10}{found[kind]}", flush=True)
    figures = {f"{kind}_growth_mb": one["end_mb"] - one["tenth_mb"] for kind, one in found.items()}
    figures |= {f"{kind}_peak_mb": one["peak_mb"] for kind, one in found.items()}
    results = origin() | {"kinds": found, "figures": figures}
    command_line.write_json(results, arguments.out)
    return 0


def rows(most_bytes: int) -> Iterator[dict]:
    """The demo corpus' English rows again and again under new ids, until their recordings are so many bytes."""
    originals = pyarrow.parquet.read_table(DEMO / "train-en.parquet").to_pylist()
    size, number = 0, 0
    while size < most_bytes:
        row = originals[number % len(originals)]
        yield {"id": f"{number:08}", "text": row["text"], "speaker": row["speaker"], "audio": row["audio"]}
        size += len(row["audio"]["bytes"])
        number += 1


def write_parquet(folder: Path, most_bytes: int, name: str = "train.parquet") -> int:
    writer, group = None, []
    for row in rows(most_bytes):
        group.append(row)
        if len(group) == GROUP_ROWS:
            table = pyarrow.Table.from_pylist(group)
            writer = writer or pyarrow.parquet.ParquetWriter(folder / name, table.schema, use_dictionary=False)
            writer.write_table(table)
            group = []
    writer.close()
    return (folder / name).stat().st_size


def write_hub(folder: Path, most_bytes: int) -> int:
    return write_parquet(folder, most_bytes, "train-00000-of-00001.parquet")


def write_tar(folder: Path, most_bytes: int) -> int:
    with tarfile.open(folder / "train.tar", "w") as archive:
        for row in rows(most_bytes):
            for ending, content in (("opus", row["audio"]["bytes"]), ("txt", row["text"].encode())):
                member = tarfile.TarInfo(f"{row['id']}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return (folder / "train.tar").stat().st_size


def recordings(folder: Path, most_bytes: int) -> Iterator[dict]:
    """Rows of a table, with as many files as FILES_OF_TABLE."""
    for number, row in enumerate(rows(most_bytes)):
        name = f"{number % FILES_OF_TABLE}.opus"
        if number < FILES_OF_TABLE:
            (folder / name).write_bytes(row["audio"]["bytes"])
        yield {"id": row["id"], "path": name, "text": row["text"], "speaker": row["speaker"]}


def write_csv(folder: Path, most_bytes: int) -> int:
    with open(folder / "train.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ("id", "path", "text", "speaker"))
        table.writeheader()
        table.writerows(recordings(folder, most_bytes))
    return most_bytes


def write_jsonl(folder: Path, most_bytes: int) -> int:
    with open(folder / "train.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in recordings(folder, most_bytes))
    return most_bytes


WRITERS = {"parquet": write_parquet, "tar": write_tar, "csv": write_csv, "jsonl": write_jsonl, "hub": write_hub}


def read(kind: str, place: str) -> dict:
    """Rows and memory of reading a corpus to its end, as an epoch does."""
    from data_pipeline.batching.plan import Limits, Plan
    from data_pipeline.reading.columns import ColumnNames, RowReader
    from data_pipeline.reading.sources import Request, Source, open_source, stream_dataset
    from data_pipeline.recordings.audio import AudioConfig

    if kind == "hub":
        opened = stream_dataset(place, Request(place, ColumnNames(), None, "train", None))
        source = Source("hub", opened, RowReader(place, ColumnNames(), opened.folder, opened.confined))
    else:
        source = open_source(place)
    plan = Plan(source, AudioConfig(), Limits(16, 16_000, pool_batches=16))
    started, taken, marks = time.perf_counter(), 0, []
    for batch in plan.epoch(plan.start(0)):
        taken += len(batch.entries)
        marks.append(resident_mb())
    return {
        "rows": taken,
        "seconds": round(time.perf_counter() - started, 1),
        "tenth_mb": marks[len(marks) // 10],
        "end_mb": marks[-1],
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def resident_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


if __name__ == "__main__":
    sys.exit(main())
