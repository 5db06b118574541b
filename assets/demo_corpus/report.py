"""What was dropped and edited while building: the lists, the table of counts, the README that shows it."""

import csv
from collections import Counter
from pathlib import Path

COUNTS_BEGIN, COUNTS_END = "<!-- counts: written by build.py -->", "<!-- end of counts -->"


class Report:
    """What was dropped and what was edited, in the order it happened."""

    def __init__(self) -> None:
        self.dropped: list[tuple[str, str, str, str]] = []  # id, language, reason, text
        self.edited: list[tuple[str, str, str, str, str]] = []  # id, language, edit, before, after

    def drop(self, id: str, language: str, reason: str, text: str) -> None:
        self.dropped.append((id, language, reason, text))


def read_csv(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_csv(path: Path, header: list[str], rows: list[tuple]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def counts_table(splits: dict[str, list], languages: list[str], report: Report) -> str:
    """Markdown: rows and minutes of each split by language, then what was dropped and edited, by reason.

    The rows of a split have language and duration_s.
    """
    lines = ["| | " + " | ".join(languages) + " |", "|---" * (len(languages) + 1) + "|"]
    for split, rows in splits.items():
        cells = []
        for language in languages:
            durations_s = [row.duration_s for row in rows if row.language == language]
            cells.append(f"{len(durations_s)} rows, {sum(durations_s) / 60:.1f} min")
        lines.append(f"| {split} | " + " | ".join(cells) + " |")
    for title, records in (("dropped", report.dropped), ("edited", report.edited)):
        counts = Counter((record[2], record[1]) for record in records)
        for reason in sorted({reason for reason, _ in counts}):
            cells = [str(counts[reason, language]) for language in languages]
            lines.append(f"| {title}: {reason} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def update_readme(path: Path, table: str) -> None:
    before, _, rest = path.read_text(encoding="utf-8").partition(COUNTS_BEGIN)
    _, _, after = rest.partition(COUNTS_END)
    path.write_text(f"{before}{COUNTS_BEGIN}\n{table}\n{COUNTS_END}{after}", encoding="utf-8")
