"""Build the embedded demo corpus from Debian's asterisk-core-sounds packages.

    apt-get download asterisk-core-sounds-{en,es,fr}{,-g722}
    python -m assets.demo_corpus.build FOLDER_OF_THE_DEBS

FOLDER holds the six .deb files (unpacked here with dpkg-deb) or what they unpack to (`usr/share/...`). Needs
ffmpeg with libopus, and moonshine-voice where english_asr.csv does not already hold the recognizer's words
for these very recordings. Writes, into the script's own folder unless --out says otherwise:

    train-en.parquet train-es.parquet train-fr.parquet heldout.parquet    the rows, as `datasets` reads them
    heldout.txt        the fixed held-out list: read where it exists, chosen where it does not
    dropped.csv        each row or recording left out, and why; edited.csv: each text changed, and how
    english_asr.csv    what the recognizer heard, for each English clip
    README.md          only the counts between its two marks are rewritten

The same packages and the same ffmpeg and pyarrow give the same bytes.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from datasets import Audio, Features, Value

from assets.demo_corpus.choose_heldout import choose, hash_order, near_duplicate
from assets.demo_corpus.report import Report, counts_table, read_csv, update_readme, write_csv
from assets.demo_corpus.speech_checks import (
    Recognizer,
    error_rate,
    letters_said,
    rate_outliers,
    speech_level_db,
    speech_s,
    spoken_length,
)
from assets.demo_corpus.transcripts import Dropped, Transcript, clean, read_list

SAMPLE_RATE_HZ = 16000
G722_BYTES_PER_S = 8000
OPUS_BIT_RATE = "27k"  # as much as keeps the whole folder under 12 MB
MAX_DURATION_S = 20.0
MIN_LOUD_DB, MIN_RANGE_DB = -40.0, 15.0
MAX_RATE_Z = 5.0
# Under this many letters the recognizer is not asked: it guesses at isolated words and letters.
ASR_MIN_LETTERS, ASR_MAX_CER, HELD_OUT_MAX_CER = 12, 0.5, 0.10
ROWS_PER_GROUP = 100
FILES_PER_FFMPEG = 50
FEATURES = Features(
    {
        "id": Value("string"),
        "text": Value("string"),
        "audio": Audio(sampling_rate=SAMPLE_RATE_HZ),
        "speaker": Value("string"),
        "language": Value("string"),
        "duration_s": Value("float32"),
    }
)


@dataclass(frozen=True)
class Voice:
    folder: str
    speaker: str


VOICES = {
    "en": Voice("en_US_f_Allison", "allison"),
    "es": Voice("es_MX_f_Allison", "allison"),
    "fr": Voice("fr_CA_f_June", "june"),
}


@dataclass
class Row:
    id: str
    text: str
    language: str
    opus: bytes
    wave: np.ndarray  # float32 [N], decoded from `opus`
    heard: str = ""

    @property
    def duration_s(self) -> float:
        return len(self.wave) / SAMPLE_RATE_HZ

    @property
    def letters(self) -> str:
        return letters_said(self.text, self.language)


def unpack(packages: Path, scratch: Path) -> Path:
    """The folder that holds usr/: `packages` itself, or `scratch` with the .deb files unpacked into it."""
    if (packages / "usr").is_dir():
        return packages
    for language in VOICES:
        for suffix in ("", "-g722"):
            found = sorted(packages.glob(f"asterisk-core-sounds-{language}{suffix}_*.deb"))
            if len(found) != 1:
                name = f"asterisk-core-sounds-{language}{suffix}_*.deb"
                sys.exit(f"{packages}: found {len(found)} files {name}, expected 1, and no folder usr/")
            subprocess.run(["dpkg-deb", "-x", str(found[0]), str(scratch)], check=True)
    return scratch


def encode_opus(g722: list[Path], scratch: Path) -> list[bytes]:
    """Ogg Opus of g722 files (16 kHz, 64 kbit/s), without the encoder's version or random serial numbers.

    Many files to one ffmpeg, whose start costs more than a prompt's encoding.
    """
    options = ["-map_metadata", "-1", "-ac", "1", "-ar", "16000", "-c:a", "libopus", "-application", "audio"]
    options += ["-b:a", OPUS_BIT_RATE, "-fflags", "+bitexact", "-flags:a", "+bitexact", "-f", "ogg"]
    encoded = []
    for first in range(0, len(g722), FILES_PER_FFMPEG):
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y"]
        batch = g722[first : first + FILES_PER_FFMPEG]
        outputs = [scratch / f"{i}.opus" for i in range(len(batch))]
        for path in batch:
            command += ["-f", "g722", "-i", str(path)]
        for i, output in enumerate(outputs):
            command += ["-map", f"{i}:a", *options, str(output)]
        subprocess.run(command, check=True)
        encoded += [output.read_bytes() for output in outputs]
    return encoded


def usable_transcripts(root: Path, language: str, report: Report) -> list[Transcript]:
    """Rows of one language whose text is clean and whose recording exists and is at most 20 s long."""
    sounds = root / "usr/share/asterisk/sounds" / VOICES[language].folder
    listed = read_list(root / f"usr/share/doc/asterisk-core-sounds-{language}" / f"core-sounds-{language}.txt.gz")
    names = {row.name for row in listed}
    kept, seen = [], set()
    for row in listed:
        id = f"{language}/{row.name}"
        try:
            if row.name in seen:
                raise Dropped("name listed twice")
            seen.add(row.name)
            text, edits = clean(row.text, names)
            check_recording(sounds / f"{row.name}.g722")
        except Dropped as reason:
            report.drop(id, language, str(reason), row.text)
            continue
        report.edited += [(id, language, edit, row.text, text) for edit in edits]
        kept.append(Transcript(row.name, text))
    for path in sorted(sounds.rglob("*.g722")):
        name = path.relative_to(sounds).with_suffix("").as_posix()
        if name not in names:
            report.drop(f"{language}/{name}", language, "recording without transcript", "")
    return kept


def check_recording(g722: Path) -> None:
    if not g722.exists():
        raise Dropped("transcript without recording")
    if g722.stat().st_size / G722_BYTES_PER_S > MAX_DURATION_S:
        raise Dropped(f"longer than {MAX_DURATION_S:.0f} s")


def encoded_rows(root: Path, scratch: Path, language: str, report: Report) -> list[Row]:
    sounds = root / "usr/share/asterisk/sounds" / VOICES[language].folder
    transcripts = usable_transcripts(root, language, report)
    encoded = encode_opus([sounds / f"{row.name}.g722" for row in transcripts], scratch)
    rows = []
    for transcript, opus in zip(transcripts, encoded, strict=True):
        wave, rate_hz = soundfile.read(BytesIO(opus), dtype="float32")
        assert rate_hz == SAMPLE_RATE_HZ and wave.ndim == 1
        rows.append(Row(f"{language}/{transcript.name}", transcript.text, language, opus, wave))
    return rows


def recognize(rows: list[Row], kept_results: Path, results: Path) -> None:
    """Fill `heard` of the English rows, from `kept_results` where it has these very bytes; write `results`."""
    kept = {(r["id"], r["opus_sha256"]): r["heard"] for r in read_csv(kept_results)}
    recognizer, lines = None, []
    for row in rows:
        digest = hashlib.sha256(row.opus).hexdigest()[:16]
        if (row.id, digest) not in kept:
            recognizer = recognizer or Recognizer()
            kept[row.id, digest] = better_hearing(row, recognizer)
        row.heard = kept[row.id, digest]
        lines.append((row.id, digest, row.heard))
    write_csv(results, ["id", "opus_sha256", "heard"], sorted(lines))


def better_hearing(row: Row, recognizer: Recognizer) -> str:
    """What is heard; where that is off, the better of it and a hearing between silences (it may loop or slip)."""

    def errors(heard: str) -> float:
        return error_rate(row.letters, letters_said(heard, row.language))

    heard = recognizer(row.wave)
    if errors(heard) < HELD_OUT_MAX_CER:
        return heard
    silence = np.zeros(SAMPLE_RATE_HZ // 2, dtype=np.float32)
    return min(heard, recognizer(np.concatenate([silence, row.wave, silence])), key=errors)


def matching(rows: list[Row], by_hand: dict[str, str], report: Report) -> list[Row]:
    """The rows of one language whose recording is speech and says the text, as far as the checks can tell."""
    letters = np.array([spoken_length(row.text, row.language) for row in rows], dtype=float)
    seconds = np.array([speech_s(row.wave, SAMPLE_RATE_HZ) for row in rows])
    kept = []
    for row, z in zip(rows, rate_outliers(letters, seconds), strict=True):
        loud, quiet = speech_level_db(row.wave, SAMPLE_RATE_HZ)
        reason = ""
        if row.id in by_hand:
            reason = by_hand[row.id]
        elif loud < MIN_LOUD_DB or loud - quiet < MIN_RANGE_DB:
            reason = "no speech level"
        elif abs(z) > MAX_RATE_Z:
            reason = f"too {'slow' if z > 0 else 'fast'} for its text"
        elif row.language == "en" and len(row.letters) >= ASR_MIN_LETTERS and cer(row) > ASR_MAX_CER:
            reason = "recognizer hears another text"
        if reason:
            report.drop(row.id, row.language, reason, row.text)
        else:
            kept.append(row)
    return kept


def cer(row: Row) -> float:
    return error_rate(row.letters, letters_said(row.heard, row.language))


def held_out_ids(rows: list[Row], fixed_list: Path) -> set[str]:
    """Ids in the fixed list; where it does not exist yet they are chosen. Exits where they were not built."""
    built = {row.id: row.text for row in rows}
    if fixed_list.exists():
        lines = fixed_list.read_text(encoding="utf-8").splitlines()
        listed = dict(line.split("\t")[::2] for line in lines)
        wrong = sorted(id for id, text in listed.items() if built.get(id) != text)
        if wrong:
            sys.exit(f"{fixed_list}: not built as listed: {wrong}; the list is fixed, so mend the rules instead")
        return set(listed)
    chosen = set()
    for language in VOICES:
        understood = (lambda row: cer(row) < HELD_OUT_MAX_CER) if language == "en" else (lambda row: True)
        chosen.update(choose([row for row in rows if row.language == language], language, understood))
    return chosen


def training_rows(rows: list[Row], held_out: set[str], report: Report) -> list[Row]:
    """Rows not held out, less those that nearly say a held-out text of their language."""
    secret = {language: set() for language in VOICES}
    for row in rows:
        if row.id in held_out:
            secret[row.language].add(row.letters)
    kept = []
    for row in rows:
        if row.id in held_out:
            continue
        if any(near_duplicate(text, row.letters) for text in secret[row.language]):
            report.drop(row.id, row.language, "says a held-out text", row.text)
        else:
            kept.append(row)
    return kept


def write_parquet(path: Path, rows: list[Row]) -> None:
    """Rows in the order of a hash of their ids, so that the head of the stream is a fair sample."""
    rows = sorted(rows, key=lambda row: hash_order(row.id))
    columns = {
        "id": [row.id for row in rows],
        "text": [row.text for row in rows],
        "audio": [{"bytes": row.opus, "path": f"{row.id}.opus"} for row in rows],
        "speaker": [VOICES[row.language].speaker for row in rows],
        "language": [row.language for row in rows],
        "duration_s": [row.duration_s for row in rows],
    }
    table = pa.Table.from_pydict(columns, schema=FEATURES.arrow_schema)
    pq.write_table(table, path, row_group_size=ROWS_PER_GROUP, compression="zstd")


def write_all(out: Path, splits: dict[str, list[Row]], report: Report) -> None:
    for language in VOICES:
        write_parquet(out / f"train-{language}.parquet", [r for r in splits["train"] if r.language == language])
    write_parquet(out / "heldout.parquet", splits["heldout"])
    lines = sorted(f"{row.id}\t{row.language}\t{row.text}\n" for row in splits["heldout"])
    (out / "heldout.txt").write_text("".join(lines), encoding="utf-8")
    write_csv(out / "dropped.csv", ["id", "language", "reason", "text"], sorted(report.dropped))
    write_csv(out / "edited.csv", ["id", "language", "edit", "before", "after"], sorted(report.edited))
    table = counts_table(splits, list(VOICES), report)
    print(table)
    if (out / "README.md").exists():
        update_readme(out / "README.md", table)


def main() -> None:
    here = Path(__file__).parent
    docs = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=docs)
    parser.add_argument("packages", type=Path, help="folder of the .deb files, or of what they unpack to")
    parser.add_argument("--out", type=Path, default=here, help="where to write (default: beside this script)")
    arguments = parser.parse_args()
    by_hand = {row["id"]: row["reason"] for row in read_csv(here / "dropped_by_hand.csv")}
    report, rows = Report(), []
    with tempfile.TemporaryDirectory() as scratch:
        root = unpack(arguments.packages, Path(scratch))
        for language in VOICES:
            encoded = encoded_rows(root, Path(scratch), language, report)
            if language == "en":
                recognize(encoded, here / "english_asr.csv", arguments.out / "english_asr.csv")
            rows += matching(encoded, by_hand, report)
    held_out = held_out_ids(rows, here / "heldout.txt")
    train = training_rows(rows, held_out, report)
    write_all(arguments.out, {"train": train, "heldout": [row for row in rows if row.id in held_out]}, report)


if __name__ == "__main__":
    main()
