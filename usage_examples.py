"""Every command of README.md and docs/:  python usage_examples.py               lists them
                                      python usage_examples.py --run ljspeech  runs one, small
                                      python usage_examples.py --run ljspeech --whole

The commands are read from the pages. Each is named after its page, the heading above it, and its number there, as
training/fine-tune-2; --run takes a name, or words that no other command has. Small: a command that trains gets --debug,
and is done in half a minute; --whole runs what the page says. What follows is added to the command. The commands about
data use small corpora in my_data/, one of each format, made out of the demo corpus by
`python usage_examples.py --make-data my_data`.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent
EXAMPLE_ROWS = 100  # of each corpus in my_data/: enough that some of any of them is held out

TRAINS = re.compile(r"(accelerate launch|torchrun) .*train_main\.py(?!.* --debug)")


def commands(root: Path = ROOT) -> dict[str, dict[str, str]]:
    """ "page: heading" -> name -> command, of the pages of `root` in order. Nothing where there are none."""
    groups: dict[str, dict[str, str]] = {}
    for page in filter(Path.is_file, [root / "README.md", *sorted((root / "docs").glob("*.md"))]):
        for place, heading, command in _told(page.read_text(encoding="utf-8")):
            examples = groups.setdefault(f"{page.relative_to(root)}: {heading}", {})
            examples[f"{page.stem.lower()}/{place}{len(examples) + 1}"] = command
    return groups


def _told(text: str) -> Iterator[tuple[str, str, str]]:
    """(heading as part of a name, heading, command) for each line of a page's fences for bash."""
    heading, place, fence = "", "", None
    for line in text.splitlines():
        if line.startswith("```"):
            fence = line[3:] if fence is None else None
        elif fence is None and line.startswith("#"):
            signs, _, heading = line.partition(" ")
            place = "" if signs == "#" else re.sub(r"\W+", "-", heading.lower()) + "-"  # a page's own needs none
        elif fence == "bash" and line.strip():
            yield place, heading, line


def wanted(words: str, examples: Mapping[str, str]) -> str:
    """The command of this name, or the one that has these words. Raises ValueError where there is not one."""
    if words in examples:
        return examples[words]
    found = {command: name for name, command in examples.items() if words in command}
    if len(found) != 1:
        those = f"these have it: {', '.join(found.values())}" if found else "without --run, all are listed"
        raise ValueError(f"--run {words}: expected a name, or words of one command alone; {those}")
    return next(iter(found))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="usage_examples.py", description="The commands of README.md and docs/.")
    parser.add_argument("--run", metavar="NAME", help="run one, by name or by words; more words are added to it")
    parser.add_argument("--whole", action="store_true", help="run a training command as it is, not with --debug")
    parser.add_argument("--make-data", metavar="FOLDER", help="write a small corpus of each format there")
    arguments, more = parser.parse_known_args(argv)
    if more and not arguments.run:
        parser.error(f"unknown: {' '.join(more)}")
    if arguments.make_data:
        make_data(Path(arguments.make_data))
        return 0
    groups = commands()
    if not groups:
        parser.error(f"README.md and docs/ are not in {ROOT}; run it where they are, in a clone of the repository")
    if arguments.run:
        try:
            command = wanted(arguments.run, {name: one for group in groups.values() for name, one in group.items()})
        except ValueError as error:
            parser.error(str(error))
        return run(command, more, arguments.whole)
    for group, examples in groups.items():
        print(group)
        width = max(map(len, examples))
        for name, command in examples.items():
            print(f"  {name:<{width}}  {command}")
    return 0


def run(command: str, more: list[str], whole: bool) -> int:
    # A run that starts from a model has that model's size, which --debug would change.
    small = ["--debug"] if TRAINS.search(command) and "--init-from" not in command and not whole else []
    command = " ".join([command, *small, *more])
    print(f"$ {command}", flush=True)
    # So that python, pip and accelerate are those of this interpreter's environment, activated or not.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return subprocess.run(command, shell=True, cwd=ROOT, env=os.environ | {"PATH": path}).returncode


# Corpora to try the data formats with: writer(folder, rows of the demo corpus)


def make_data(folder: Path) -> None:
    """One corpus for each of WRITERS in `folder`, two clips to clone and a text to read. What is there is replaced."""
    import pyarrow.parquet

    rows = pyarrow.parquet.read_table(ROOT / "assets" / "demo_corpus" / "train-en.parquet").to_pylist()
    chosen = [row for row in rows if row["duration_s"] >= 1.5][:EXAMPLE_ROWS]
    rows = [row | {"name": row["id"].replace("/", "-")} for row in chosen]
    for kind, write in WRITERS.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        write(folder / kind, rows)
    clips = [row for row in rows if row["duration_s"] >= 4]
    for name, clip in zip(("clip", "clip2"), clips, strict=False):
        (folder / f"{name}.opus").write_bytes(clip["audio"]["bytes"])
    paragraphs = (" ".join(row["text"] for row in part) for part in (rows[:9], rows[9:18]))
    write_lines(folder / "long.txt", ["\n\n".join(paragraphs)])
    print(f"Wrote 2 clips, long.txt and {len(rows)} recordings as each of: {', '.join(WRITERS)} in {folder}.")


def write_audio(folder: Path, rows: list[dict]) -> None:
    folder.mkdir(exist_ok=True)
    for row in rows:
        (folder / f"{row['name']}.opus").write_bytes(row["audio"]["bytes"])


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_table(path: Path, heading: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    import csv

    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([heading, *rows])


def write_seed(folder: Path, rows: list[dict]) -> None:
    write_audio(folder / "wavs", rows)
    for name, part in (("train", rows[10:]), ("eval", rows[:10])):
        lines = [f"wavs/{row['name']}.opus|{row['text']}|{row['speaker']}" for row in part]
        write_lines(folder / f"metadata_{name}.csv", ["audio_file|text|speaker_name", *lines])


def write_ljspeech(folder: Path, rows: list[dict]) -> None:
    write_audio(folder / "wavs", rows)
    write_lines(folder / "metadata.csv", [f"{row['name']}|{row['text']}|{row['text']}" for row in rows])


def write_audiofolder(folder: Path, rows: list[dict]) -> None:
    for name, part in (("train", rows[10:]), ("validation", rows[:10])):
        write_audio(folder / name, part)
        table = [(f"{row['name']}.opus", row["text"]) for row in part]
        write_table(folder / name / "metadata.csv", ("file_name", "transcription"), table)


def write_csv(folder: Path, rows: list[dict]) -> None:
    write_audio(folder / "clips", rows)
    table = [(f"{row['name']}.opus", row["text"], row["speaker"]) for row in rows]
    write_table(folder / "train.csv", ("path", "sentence", "speaker"), table)


def write_jsonl(folder: Path, rows: list[dict]) -> None:
    write_audio(folder / "audio", rows)
    objects = [{"audio": f"audio/{row['name']}.opus", "text": row["text"]} for row in rows]
    write_lines(folder / "train.jsonl", [json.dumps(one, ensure_ascii=False) for one in objects])


def write_parquet(folder: Path, rows: list[dict]) -> None:
    import pyarrow

    names = ("id", "text", "audio", "speaker", "language")
    table = pyarrow.Table.from_pylist([{name: row[name] for name in names} for row in rows])
    pyarrow.parquet.write_table(table, folder / "train.parquet")


def write_webdataset(folder: Path, rows: list[dict]) -> None:
    with tarfile.open(folder / "train-0000.tar", "w") as archive:
        for row in rows:
            for ending, content in (("opus", row["audio"]["bytes"]), ("txt", row["text"].encode())):
                member = tarfile.TarInfo(f"{row['name']}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def write_samples(folder: Path, rows: list[dict]) -> None:
    """As MahtaFetrat/Mana-TTS has it: the audio as a list of samples, its rate in another column."""
    import pyarrow
    import soundfile

    decoded = [soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32") for row in rows]
    columns = {
        "file name": [f"{row['name']}.wav" for row in rows],
        "transcript": [row["text"] for row in rows],
        "audio": [wave for wave, _ in decoded],
        "samplerate": [float(rate_hz) for _, rate_hz in decoded],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "train.parquet")


def write_columns(folder: Path, rows: list[dict]) -> None:
    write_audio(folder / "clips", rows)
    table = [(f"{row['name']}.opus", row["text"], row["speaker"]) for row in rows]
    write_table(folder / "rows.csv", ("clip", "words", "who"), table)


WRITERS: dict[str, Callable[[Path, list[dict]], None]] = {
    "seed": write_seed,
    "ljspeech": write_ljspeech,
    "audiofolder": write_audiofolder,
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
    "webdataset": write_webdataset,
    "samples": write_samples,
    "columns": write_columns,
}

if __name__ == "__main__":
    sys.exit(main())
