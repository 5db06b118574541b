"""What became of the rows of an epoch."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace

from data_pipeline.batching.cursor import Cursor
from data_pipeline.errors import LONGEST_LINE, shown
from data_pipeline.utterance import plain

# Reasons to leave a row out.
ON_EXCLUDE_LIST = "on the exclude list"
ANOTHER_TIME = "kept for other epochs (data.speaker_balance)"
MOST_MESSAGES = 1000  # of broken rows that are kept, so that memory does not grow with the corpus


@dataclass
class Broken:
    """Rows that cannot be used: messages, by name, of the first MOST_MESSAGES, and how many more there are."""

    messages: dict[str, str] = field(default_factory=dict)
    unlisted: int = 0

    @property
    def rows(self) -> int:
        return len(self.messages) + self.unlisted

    def add(self, name: str, message: str) -> None:
        # A stranger's names can hold half of a character, which no file or screen takes.
        name, message = plain(name), shown(plain(message), LONGEST_LINE)
        if name in self.messages or len(self.messages) == MOST_MESSAGES:
            self.unlisted += 1
        else:
            self.messages[name] = message

    def copy(self) -> "Broken":
        return Broken(dict(self.messages), self.unlisted)

    @classmethod
    def from_json(cls, saved: dict) -> "Broken":
        messages = {str(name): str(message) for name, message in saved["messages"].items()}
        return cls(messages, int(saved["unlisted"]))


def together(parts: list[Broken]) -> Broken:
    """All of them as one."""
    messages = {name: why for one in parts for name, why in one.messages.items()}
    listed = dict(list(messages.items())[:MOST_MESSAGES])
    return Broken(listed, sum(one.rows for one in parts) - len(listed))


@dataclass
class RowStats:
    """The rows of one epoch that were read so far: kept, left out by reason, and broken.

    accepted: as far as reading tells. excluded: ids of the exclude list that were met. refused: broken rows that
    reading found. undecoded: those accepted that decoding found broken, which this rank alone knows of.
    """

    accepted: int = 0
    left_out: Counter = field(default_factory=Counter)
    excluded: set[str] = field(default_factory=set)
    refused: Broken = field(default_factory=Broken)
    undecoded: Broken = field(default_factory=Broken)
    whole: bool = False  # every row of the epoch was read

    @property
    def kept(self) -> int:
        return self.accepted - self.undecodable

    @property
    def undecodable(self) -> int:
        return self.undecoded.rows

    @property
    def broken(self) -> dict[str, str]:
        """Name -> message of the first."""
        return together([self.refused, self.undecoded]).messages

    @property
    def broken_rows(self) -> int:
        return self.refused.rows + self.undecoded.rows

    @property
    def unlisted(self) -> int:
        """Broken rows without a message of their own."""
        return together([self.refused, self.undecoded]).unlisted

    @property
    def seen(self) -> int:
        return self.accepted + sum(self.left_out.values()) + self.refused.rows

    def why_nothing_is_left(self) -> str:
        """For a message where no row was kept."""
        reasons = [f"{count} {reason}" for reason, count in self.left_out.items()]
        if self.broken_rows:
            reasons.append(f"{self.broken_rows} broken, such as: {next(iter(self.broken.values())).rstrip('.')}")
        return f"No utterance is left to use, of {self.seen} rows: {'; '.join(reasons) or 'the corpus is empty'}."

    def add_broken(self, name: str, message: str) -> None:
        self.refused.add(name, message)

    def add_excluded(self, name: str) -> None:
        self.excluded.add(name)
        self.left_out[ON_EXCLUDE_LIST] += 1

    def add_undecodable(self, name: str, message: str) -> None:
        """A row that was accepted and turns out to be broken."""
        self.undecoded.add(name, message)

    def read(self) -> "RowStats":
        """A copy of what reading alone has told, which is the same on every rank."""
        parts = {"left_out": Counter(self.left_out), "excluded": set(self.excluded), "refused": self.refused.copy()}
        return replace(self, **parts, undecoded=Broken())

    def to_json(self) -> dict:
        return asdict(self) | {"left_out": dict(self.left_out), "excluded": sorted(self.excluded)}

    @classmethod
    def from_json(cls, saved: dict) -> "RowStats":
        """Raises LookupError, TypeError or ValueError for what is no row_stats."""
        return cls(
            int(saved["accepted"]),
            Counter({str(reason): int(count) for reason, count in saved["left_out"].items()}),
            set(map(str, saved["excluded"])),
            *(Broken.from_json(saved[name]) for name in ("refused", "undecoded")),
            bool(saved["whole"]),
        )


def merged(ranks: list[RowStats]) -> RowStats:
    """All ranks' stats_by_epoch of one epoch: each has read every row, and decoded its share."""
    return replace(ranks[0], undecoded=together([row_stats.undecoded for row_stats in ranks]))


class RowStatsByEpoch:
    """Of the epoch under way, as far as it was read, which is ahead of the steps, and as far as the steps have come;
    and of the last epoch that was read whole.

    undecoded: what decoding found in the steps taken. marks: number of rows read -> what they were; of the places where
    a pool of batches begins or ends.
    """

    def __init__(self):
        self.now, self.whole, self.undecoded = RowStats(), None, Broken()
        self.epoch, self.marks = -1, {}
        self.is_from_its_start = True

    def begin(self, cursor: Cursor) -> None:
        """The epoch is read from `cursor` on. Of what lies before it a mark tells, if there is one."""
        is_start = (cursor.rows, cursor.batch) == (0, 0)
        before = self.marks.get(cursor.rows) if self.epoch == cursor.epoch else None
        before = RowStats() if is_start else before
        self.is_from_its_start = before is not None
        self._read_from(cursor.epoch, cursor.rows, before or RowStats())

    def begin_anew(self, epoch: int) -> None:
        """From its first row, past what the steps have taken."""
        self.is_from_its_start = True
        self._read_from(epoch, 0, RowStats())

    def _read_from(self, epoch: int, rows: int, before: RowStats) -> None:
        self.epoch, self.marks = epoch, {rows: before.read()}
        self.now = replace(before.read(), undecoded=self.undecoded.copy(), whole=False)

    def mark(self, rows: int) -> None:
        self.marks[rows] = self.now.read()

    def end(self) -> None:
        """The epoch's last row was read."""
        if self.is_from_its_start:
            self.now.whole, self.whole = True, self.now

    def leave(self, epoch: int) -> None:
        """The steps go on with the beginning of another epoch."""
        self.undecoded, self.epoch, self.marks = Broken(), epoch, {0: RowStats()}

    def note_step(self, cursor: Cursor, found: Iterable[tuple[str, str]]) -> None:
        """A step has come to `cursor`; `found`: rows of it that cannot be decoded, each with a message."""
        for name, why in found:
            self.undecoded.add(name, why)
        self.marks = {rows: row_stats for rows, row_stats in self.marks.items() if rows >= cursor.rows}

    def to_cursor(self, cursor: Cursor) -> RowStats:
        """Of the rows up to the end of the pool in which the cursor stands, as far as the steps have come."""
        return replace(self.marks.get(self._places(cursor)[-1], RowStats()), undecoded=self.undecoded)

    def _places(self, cursor: Cursor) -> list[int]:
        """Where the pool in which the cursor stands begins and ends; between two pools, the one place."""
        behind = sorted(rows for rows in self.marks if rows > cursor.rows)
        return [cursor.rows, *(behind[:1] if cursor.batch else [])]

    def to_json(self, cursor: Cursor, ranks: list[tuple[RowStats | None, Broken]]) -> dict:
        """ranks: the whole row_stats and what was not decoded, of all of them."""
        wholes = [whole for whole, _ in ranks if whole is not None]
        return {
            "marks": {rows: self.marks.get(rows, RowStats()).to_json() for rows in self._places(cursor)},
            "undecoded": asdict(together([undecoded for _, undecoded in ranks])),
            "whole": merged(wholes).to_json() if wholes else None,
        }

    def restore(self, saved: dict, epoch: int, is_first: bool) -> None:
        """is_first: of the ranks, whose sum is wanted; what decoding found is counted once."""
        self.epoch = epoch
        self.marks = {int(rows): RowStats.from_json(one) for rows, one in saved["marks"].items()}
        self.undecoded = Broken.from_json(saved["undecoded"]) if is_first else Broken()
        whole = saved["whole"] and RowStats.from_json(saved["whole"])
        self.whole = whole if is_first or whole is None else whole.read()
