"""Whatever a user brings: python -m benchmarks.reliability.bad_inputs

Corpora of twelve good rows that are harmed at random, several ways at once, from a seed: the table (encoding,
separator, quotes, line ends, header, columns, paths), recordings (cut, empty, mislabeled, odd rates, channels and
depths, an hour long, samples that are no number, missing) and texts (empty, signs only, control characters, very long,
directions of writing); and command lines with wrong flags and values. Each is read as training reads it, to collated
batches. It ends well where every row that was left good comes out, or one message names the file or flag and what to
do; ill in a traceback, where a minute passes, or where a good row is lost without a word. Prints one table and writes
benchmarks/results/bad_inputs.json, with every case that ended ill, to be made again by its number.
"""

import argparse
import csv
import io
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.harness import command_line
from benchmarks.harness.places import DEMO, RESULTS
from benchmarks.harness.provenance import origin
from benchmarks.harness.time_limit import TooLong, time_limit
from data_pipeline.batching.cursor import Cursor
from data_pipeline.errors import UserError
from data_pipeline.reading.sources import open_source
from data_pipeline.recordings.audio import decode_audio
from training.config.arguments import parse
from training.setup.inputs import build_inputs

OUT = RESULTS / "bad_inputs.json"
GOOD_ROWS, RATE_HZ, LIMIT_S = 12, 16_000, 60
Random = np.random.Generator


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--cases", type=int, default=500, help="(default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    recordings = good_recordings()
    ends: Counter[str] = Counter()
    ill, lost, started = [], 0, time.perf_counter()
    for number in range(arguments.first, arguments.first + arguments.cases):
        with tempfile.TemporaryDirectory() as folder:
            case = Case(Path(folder), recordings, np.random.default_rng(number))
            end, detail, missing = judged(case)
        ends[end] += 1
        lost += missing
        if end in ("traceback", "hang", "good rows lost", "no remedy"):
            ill.append({"case": number, "end": end, "harms": case.harms, "detail": detail})
            print(f"case {number}: {end} ({', '.join(case.harms)})\n{detail}", flush=True)
    results = origin() | {"seconds": time.perf_counter() - started}
    results |= {"ends": dict(ends), "ill": ill}
    figures = {"bad_inputs_tried": arguments.cases, "tracebacks": ends["traceback"], "hangs": ends["hang"]}
    results["figures"] = figures | {"good_rows_lost": lost}
    command_line.write_json(results, arguments.out)
    print("\n".join(f"{name:<20}{count:>6}" for name, count in (ends | Counter(results["figures"])).items()))
    return 0


def good_recordings() -> list[tuple[np.ndarray, str]]:
    """(wave, text) of short English rows of the demo corpus."""
    source = open_source(str(DEMO), split="train")
    found = []
    for row in source.rows():
        utterance = source.to_utterance(row)
        if 0.8 < row["duration_s"] < 2.0 and utterance.language == "en" and utterance.text.isascii():
            found.append((decode_audio(utterance.audio, RATE_HZ), utterance.text.replace('"', "").replace("|", " ")))
        if len(found) == GOOD_ROWS:
            return found
    raise AssertionError("the demo corpus has not enough short rows")


class Case:
    """A harmed corpus in `folder`: `flags` read it, `good` are the texts that have to come out."""

    def __init__(self, folder: Path, recordings: list, random: Random):
        self.folder, self.random, self.harms = folder, random, []
        self.flags = ["--train-data", str(folder / "train.csv"), "--language", "en", "--num-workers", "0"]
        more = "--model-size debug --set data.val_fraction=0.0001 --set data.max_broken_share=1.0"
        self.flags += more.split()
        self.rows = [{"path": f"{number}.wav", "text": text} for number, (_, text) in enumerate(recordings)]
        for number, (wave, _) in enumerate(recordings):
            soundfile.write(folder / f"{number}.wav", wave, RATE_HZ)
        self.bad: set[int] = set()
        self.touched: set[int] = set()
        self.separator, self.encoding, self.newline, self.header = ",", "utf-8", "\n", True
        self.renamed: dict[str, str] = {}  # columns
        chosen = random.choice(len(HARMS), size=int(random.integers(1, 5)), replace=False)
        for name, harm in [list(HARMS.items())[index] for index in chosen]:
            self.harms.append(name)
            harm(self)
        self.write()

    @property
    def good(self) -> set[str]:
        harmed = {self.rows[number].get("text") for number in self.bad}  # its double, where rows are there twice, too
        return {row["text"] for row in self.rows if "text" in row} - harmed

    def victim(self) -> int:
        """A row that was good, and is not from here on."""
        number = self.untouched()
        self.bad.add(number)
        return number

    def untouched(self) -> int:
        """A row that no harm has come to, so that harms do not add up on one file."""
        number = int(self.random.choice(sorted(set(range(GOOD_ROWS)) - self.touched)))
        self.touched.add(number)
        return number

    def write(self) -> None:
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        text = io.StringIO()
        quoting = csv.QUOTE_MINIMAL if self.separator in ",;" else csv.QUOTE_NONE
        writer = csv.writer(
            text, delimiter=self.separator, lineterminator=self.newline, quoting=quoting, quotechar='"', escapechar="\\"
        )
        if self.header:
            writer.writerow([self.renamed.get(column, column) for column in columns])
        writer.writerows([row.get(column, "") for column in columns] for row in self.rows)
        (self.folder / "train.csv").write_bytes(text.getvalue().encode(self.encoding, "replace"))


def sets(**values) -> Callable[[Case], None]:
    def harm(case: Case) -> None:
        for name, value in values.items():
            setattr(case, name, value)

    return harm


def audio(write: Callable[[Path, Random], object]) -> Callable[[Case], None]:
    """A harm to one row's recording."""

    def harm(case: Case) -> None:
        write(case.folder / f"{case.victim()}.wav", case.random)

    return harm


def still_good(change: Callable[[Path, Random], object]) -> Callable[[Case], None]:
    """A recording that is odd, and has to be read all the same."""

    def harm(case: Case) -> None:
        change(case.folder / f"{case.untouched()}.wav", case.random)

    return harm


def text(make: Callable[[str, Random], str]) -> Callable[[Case], None]:
    """A harm to one row's text."""

    def harm(case: Case) -> None:
        row = case.rows[case.victim()]
        row["text"] = make(row["text"], case.random)

    return harm


def cut(path: Path, random: Random) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(random.integers(0, len(whole) // 2))])


def rewritten(channels: int = 1, **options) -> Callable[[Path, Random], None]:
    def write(path: Path, _: Random) -> None:
        wave, _ = soundfile.read(path, dtype="float32")
        soundfile.write(path, np.stack([wave] * channels, axis=1), RATE_HZ, **options)

    return write


def no_numbers(path: Path, random: Random) -> None:
    wave, _ = soundfile.read(path, dtype="float32")
    wave[:: int(random.integers(1, 50))] = np.nan
    soundfile.write(path, wave, RATE_HZ, subtype="FLOAT")


def header_says(offset: int, value: int) -> Callable[[Path, Random], None]:
    """A number of a wav header, in its place."""

    def write(path: Path, random: Random) -> None:
        content = bytearray(path.read_bytes())
        content[offset : offset + 4] = struct.pack("<I", value)
        path.write_bytes(content)

    return write


def hour_long(path: Path, random: Random) -> None:
    soundfile.write(path, np.zeros(3600 * 8000, np.int16) + 1, 8000, format="FLAC")


def column(case: Case) -> None:
    for row in case.rows:
        row["extra, or not"] = str(case.random.integers(10))


def fields_missing(case: Case) -> None:
    case.rows[case.victim()] = {}


def absolute(case: Case) -> None:
    for row in case.rows:
        row["path"] = str(case.folder / row.get("path", ""))


def upwards(case: Case) -> None:
    case.rows[case.victim()]["path"] = "../../etc/passwd"


def no_text_column(case: Case) -> None:
    case.renamed = {"text": "gibberish"}


def twice(case: Case) -> None:
    case.rows = case.rows + case.rows[:3]


def flag(*words: str) -> Callable[[Case], None]:
    def harm(case: Case) -> None:
        case.flags = [*case.flags, *words]

    return harm


HARMS: dict[str, Callable[[Case], None]] = {
    "byte order mark": sets(encoding="utf-8-sig"),
    "latin-1": sets(encoding="latin-1"),
    "utf-16": sets(encoding="utf-16"),
    "windows-1251": sets(encoding="cp1251"),
    "tabs": sets(separator="\t"),
    "bars": sets(separator="|"),
    "semicolons": sets(separator=";"),
    "CRLF": sets(newline="\r\n"),
    "CR": sets(newline="\r"),
    "no header": sets(header=False),
    "another column": column,
    "a row without fields": fields_missing,
    "absolute paths": absolute,
    "a path upwards": upwards,
    "no column of text": no_text_column,
    "rows twice": twice,
    "cut off": audio(cut),
    "no bytes": audio(lambda path, _: path.write_bytes(b"")),
    "zero bytes": audio(lambda path, _: path.write_bytes(bytes(4000))),
    "random bytes": audio(lambda path, random: path.write_bytes(random.bytes(4000))),
    "a text for a recording": audio(lambda path, _: path.write_text("this is no audio")),
    "a recording that is missing": audio(lambda path, _: path.unlink(missing_ok=True)),
    "samples that are no number": audio(no_numbers),
    "0 Hz": audio(header_says(24, 0)),
    "4 GHz": audio(header_says(24, 4_000_000_000)),
    "a header that promises more": audio(header_says(40, 2**31 - 1)),
    "an hour": audio(hour_long),
    "no samples": audio(lambda path, _: soundfile.write(path, np.zeros(0, np.float32), RATE_HZ)),
    "silence": audio(lambda path, _: soundfile.write(path, np.zeros(RATE_HZ, np.float32), RATE_HZ)),
    "8 channels": still_good(rewritten(channels=8)),
    "24 bits": still_good(rewritten(subtype="PCM_24")),
    "64-bit floats": still_good(rewritten(subtype="DOUBLE")),
    "384 kHz": still_good(lambda path, _: soundfile.write(path, np.repeat(soundfile.read(path)[0], 24), 384_000)),
    "flac named wav": still_good(rewritten(format="FLAC")),
    "mp3 named wav": still_good(rewritten(format="MP3")),
    "vorbis named wav": still_good(rewritten(format="OGG")),
    "no text": text(lambda *_: ""),
    "signs only": text(lambda *_: " ?! -- ..."),
    "control characters": text(lambda said, _: "\x00".join(said) + "\x07\x1b[31m"),
    "10,000 characters": text(lambda said, _: (said + " ") * (10_000 // len(said))),
    "right to left": text(lambda said, _: "\u202e\u200f" + said + "\u2066\u202c"),
    "marks on marks": text(lambda said, _: said[:5] + "\u0301" * 300),
    "pictures": text(lambda *_: "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467" * 5),
    "a number of 400 digits": text(lambda *_: "9" * 400),
    "an unknown flag": flag("--no-such-flag"),
    "a batch of none": flag("--batch-size", "0"),
    "a rate of nan": flag("--lr", "nan"),
    "an unknown setting": flag("--set", "optim.lrr=1"),
    "a column that is not there": flag("--text-column", "no such"),
    "an unknown language": flag("--language", "klingon"),
}


def judged(case: Case) -> tuple[str, str, int]:
    """(how it ended, the message or traceback, good rows that were lost without a word)."""
    try:
        with time_limit(LIMIT_S):
            came = read(case.flags)
    except UserError as error:
        says = str(error)
        names = any(word in says for word in (str(case.folder), "train.csv", "--", "optim.", "train.", "data."))
        return ("message" if names and len(says) > 40 else "no remedy"), says, 0
    except TooLong:
        return "hang", "", 0
    except (
        BaseException
    ):  # whatever it is, a user would see it as a traceback; Ctrl-C ends the benchmark in the next case
        return "traceback", traceback.format_exc(limit=-6), 0
    missing = sorted(case.good - came)
    return ("good rows lost" if missing else "read"), "; ".join(missing), len(missing)


def read(flags: list[str]) -> set[str]:
    """The texts of the rows that come out in batches."""
    config, _, _ = parse(flags)
    inputs = build_inputs(config, frames_per_step=2, rank=0, world_size=1)
    both = (inputs.train, inputs.validation)  # of so few rows some are held out
    texts = {one.id: one.text for loader in both for one in loader.utterances()}
    # A batch whose rows are all broken is silence in their place, which has no name.
    batches = [batch for loader in both for batch in loader.epoch(Cursor()) if batch.real]
    return {texts[name] for batch in batches for name in batch.ids}


if __name__ == "__main__":
    sys.exit(main())
