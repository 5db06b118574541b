"""Speakers that have many rows take less of an epoch than their rows do, so that the others are heard too.

Each speaker's rows count as a power of their number, as languages of unequal size do in Conneau et al. 2020 (XLM-R,
section 3.1). No row comes twice in an epoch: of a speaker with more rows than the mean a part is taken, in every epoch
another one.
"""

from collections import Counter
from collections.abc import Iterable
from hashlib import blake2b

from data_pipeline.errors import UserError
from data_pipeline.utterance import Utterance


class SpeakerBalance:
    """Which utterances an epoch takes.

    Args:
        rows: of each speaker; None among them: those that name none, who count as one.
        power: 0 leaves the rows as they are; with 1 all who have as many as the mean or more come equally often.
    """

    def __init__(self, rows: Counter, power: float):
        mean = rows.total() / max(1, len(rows))
        self.shares = {speaker: min(1.0, (mean / count) ** power) for speaker, count in rows.items()}

    @classmethod
    def of(cls, utterances: Iterable[Utterance], power: float, where: str) -> "SpeakerBalance":
        """Counts the speakers of a corpus, all of which is read. Raises UserError where it names fewer than two."""
        rows = Counter(utterance.speaker for utterance in utterances)
        if len(rows) < 2:
            named = len(rows.keys() - {None})
            raise UserError(
                f"data.speaker_balance is for corpora of several speakers, and {where} names {named}. Leave it out, or "
                "name the column of the speakers (--speaker-column)."
            )
        return cls(rows, power)

    def takes(self, utterance: Utterance, seed: int, epoch: int) -> bool:
        """The same answer on every rank, and wherever an epoch goes on from."""
        share = self.shares.get(utterance.speaker, 1.0)
        return share == 1.0 or is_in_share(f"{seed}/{epoch}/{utterance.id}", share)


def is_in_share(name: str, share: float) -> bool:
    """Whether a name belongs to a share of all names: by a hash, never by its position."""
    return hashed(name) < share * 2**64


def hashed(name: str) -> int:
    """Between 0 and 2**64, the same everywhere."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
