"""Which rows are held out for validation where a corpus brings no part of its own: by a hash, never by position."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from data_pipeline.batching.balance import hashed, is_in_share
from data_pipeline.errors import UserError
from data_pipeline.utterance import Utterance

FEWEST_ROWS = 3  # that are held out of a corpus of nine or more; of a smaller one a third, and one of two


@dataclass(frozen=True)
class HeldOut:
    """Says of an utterance whether it is held out.

    share: of all hashes. by_row: of the id, text and recording, where ids do not tell the rows apart. told: the same
    for a reader.
    """

    share: float
    by_row: bool = False
    told: str = field(default="", compare=False)

    def __call__(self, utterance: Utterance) -> bool:
        return is_in_share(_row_name(utterance) if self.by_row else utterance.id, self.share)


@dataclass(frozen=True)
class Outside:
    """The rows that are not held out."""

    held_out: HeldOut

    def __call__(self, utterance: Utterance) -> bool:
        return not self.held_out(utterance)


def hold_out(utterances: Iterable[Utterance], fraction: float, where: str) -> HeldOut:
    """A fraction of a corpus' rows, or where that is too few, those with the lowest hashes until there are enough.

    The share only falls as rows are added, so that none that was trained on is held out later. Rows of one id stay
    together, but where these would be most of the corpus. No more is read than it takes to know that the fraction is
    enough.

    Args:
        utterances: the usable ones of the corpus.
        fraction: of the ids.
        where: the corpus, for messages.

    Raises UserError where there is but one row, or nothing to tell the rows apart by.
    """
    ids: Counter[str] = Counter()
    rows: list[str] = []
    inside = 0  # of the ids; a few that have all of the rows are not enough
    for utterance in utterances:
        inside += utterance.id not in ids and is_in_share(utterance.id, fraction)
        ids[utterance.id] += 1
        rows.append(_row_name(utterance))
        if min(inside, len(ids) - inside) >= FEWEST_ROWS:
            return HeldOut(fraction, told=f"{fraction:.1%} of its rows, by a hash of their ids")
    count = len(rows)
    if not count:
        return HeldOut(fraction, told="nothing")  # training says what became of the rows
    wanted = max(min(FEWEST_ROWS, count // 3), 1, round(fraction * count / 2))
    most = max(count // 2, math.ceil(1.5 * fraction * count))
    for by_row, names in ((False, ids), (True, Counter(rows))):
        share = max(fraction, _least_share(names, wanted))
        held = sum(number for name, number in names.items() if is_in_share(name, share))
        if held <= most and held < count:
            what = "rows" if by_row else "ids"
            return HeldOut(share, by_row, f"{held} of its {count} rows, by a hash of their {what}")
    raise UserError(
        f"Of {where} no row can be held out for validation: it has {count} usable rows, {len(set(rows))} of them "
        "different; expected two at least. Give --val-data, or more rows."
    )


def _least_share(names: Counter[str], wanted: int) -> float:
    """The share of hashes that holds so many rows."""
    held = 0
    for name in sorted(names, key=hashed):
        held += names[name]
        if held >= wanted:
            return math.nextafter((hashed(name) + 1) / 2**64, 1.0)
    return 1.0


def _row_name(utterance: Utterance) -> str:
    return f"{utterance.id}\n{utterance.text}\n{utterance.recording}"
