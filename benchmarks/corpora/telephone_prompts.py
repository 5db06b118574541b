"""A small corpus of another language, cleaned as the demo corpus is, for quality/fine_tuning.py and languages.py.

    apt-get download asterisk-core-sounds-{it,ru} asterisk-core-sounds-{it,ru}-g722

Debian's telephone prompts (CC-BY-SA-3.0), of which so many minutes are for training and a fixed list is held out
(benchmarks/heldout/: read where it exists, chosen where it does not). Nothing of them is committed.
"""

import re
import tempfile
from pathlib import Path

from assets.demo_corpus import build, choose_heldout
from assets.demo_corpus.report import Report
from benchmarks.corpora.debian import unpack
from benchmarks.harness.places import ROOT

VOICES = {"it": build.Voice("it_IT_m_Carlo", "carlo"), "ru": build.Voice("ru_RU_f_IvrvoiceRU", "ivrvoice")}
HELD_OUT = 20
LISTS = ROOT / "benchmarks" / "heldout"
LOST_LETTER = re.compile(r"\w\?[\w,]|\? +[^\W\d_A-Z]")  # "sar? esattamente", "non ? attiva": the list has lost accents


def make(packages: Path, language: str, minutes: float, out: Path) -> None:
    """train.parquet and validation.parquet in `out`. Raises UserError where the packages are not there."""
    fixed_list = LISTS / f"{language}.txt"
    build.VOICES, choose_heldout.WANTED = {language: VOICES[language]}, {language: HELD_OUT}
    report = Report()
    with tempfile.TemporaryDirectory() as scratch:
        root = unpacked(packages, language, Path(scratch))
        encoded = build.encoded_rows(root, Path(scratch), language, report)
    for row in (row for row in encoded if LOST_LETTER.search(row.text)):
        report.drop(row.id, language, "a letter is lost", row.text)
    rows = build.matching([row for row in encoded if not LOST_LETTER.search(row.text)], {}, report)
    held_out = build.held_out_ids(rows, fixed_list)
    held = sorted((row for row in rows if row.id in held_out), key=lambda row: row.id)
    if not fixed_list.exists():
        fixed_list.write_text("".join(f"{row.id}\t{row.language}\t{row.text}\n" for row in held), encoding="utf-8")
    train = first_minutes(build.training_rows(rows, held_out, report), minutes)
    out.mkdir(parents=True, exist_ok=True)
    build.write_parquet(out / "train.parquet", train)
    build.write_parquet(out / "validation.parquet", held)
    minutes = sum(row.duration_s for row in train) / 60
    print(f"{len(train)} rows to train, {minutes:.1f} minutes; {len(held)} held out; {len(report.dropped)} left out")


def first_minutes(rows: list, minutes: float) -> list:
    """Rows by a hash of their ids, until they last so long."""
    chosen, seconds = [], 0.0
    for row in sorted(rows, key=lambda row: choose_heldout.hash_order(row.id)):
        if seconds + row.duration_s <= 60 * minutes:
            chosen.append(row)
            seconds += row.duration_s
    return chosen


def unpacked(packages: Path, language: str, scratch: Path) -> Path:
    for suffix in ("", "-g722"):
        unpack(packages, f"asterisk-core-sounds-{language}{suffix}", scratch)
    return scratch
