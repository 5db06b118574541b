"""What became of the rows of an epoch."""

from collections import Counter
from dataclasses import dataclass, field, replace

from data_pipeline.errors import LONGEST_LINE, shown
from data_pipeline.utterance import plain

# Reasons to leave a row out.
ON_EXCLUDE_LIST = "on the exclude list"
ANOTHER_TIME = "kept for other epochs (data.speaker_balance)"
MOST_MESSAGES = 1000  # of broken rows that are kept, so that memory does not grow with the corpus


@dataclass
class Tally:
    """The rows of one epoch that were read so far: kept, left out by reason, and broken.

    excluded: ids of the exclude list that were met. broken: id -> message of the first of them; unlisted: how many more
    there are. undecodable: those of all broken rows that only decoding found out, which this rank alone knows of.
    """

    kept: int = 0
    left_out: Counter = field(default_factory=Counter)
    excluded: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)
    unlisted: int = 0
    undecodable: int = 0
    whole: bool = False  # every row of the epoch was read

    @property
    def broken_rows(self) -> int:
        return len(self.broken) + self.unlisted

    @property
    def seen(self) -> int:
        return self.kept + sum(self.left_out.values()) + self.broken_rows

    def why_nothing_is_left(self) -> str:
        """For a message where no row was kept."""
        reasons = [f"{count} {reason}" for reason, count in self.left_out.items()]
        if self.broken:
            reasons.append(f"{self.broken_rows} broken, such as: {next(iter(self.broken.values())).rstrip('.')}")
        return f"No utterance is left to use, of {self.seen} rows: {'; '.join(reasons) or 'the corpus is empty'}."

    def add_broken(self, name: str, message: str) -> None:
        # A stranger's names can hold half of a character, which no file or screen takes.
        name, message = plain(name), shown(plain(message), LONGEST_LINE)
        if name in self.broken or len(self.broken) == MOST_MESSAGES:
            self.unlisted += 1
        else:
            self.broken[name] = message

    def add_excluded(self, name: str) -> None:
        self.excluded.add(name)
        self.left_out[ON_EXCLUDE_LIST] += 1

    def add_undecodable(self, name: str, message: str) -> None:
        """A row that was kept and turns out to be broken."""
        self.kept -= 1
        self.undecodable += 1
        self.add_broken(name, message)


def merged(ranks: list[Tally]) -> Tally:
    """All ranks' tallies of one epoch: each has read every row, and decoded its share."""
    one = ranks[0]
    undecodable = sum(tally.undecodable for tally in ranks)
    messages = dict(list({name: why for tally in ranks for name, why in tally.broken.items()}.items())[:MOST_MESSAGES])
    broken_rows = one.broken_rows - one.undecodable + undecodable
    return replace(
        one,
        kept=one.kept + one.undecodable - undecodable,
        broken=messages,
        unlisted=broken_rows - len(messages),
        undecodable=undecodable,
    )
