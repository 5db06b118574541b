"""Choose the sentences kept out of training, once; afterwards heldout.txt is the list.

A candidate has at least three words, no digits, acronyms or spelled letters (so that a score does not hang on
how those are read), lasts 1.2 to 7 s, and no other row of its language says nearly the same. They are taken by hash
of the id, equally from four bands of duration.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Sequence

from assets.demo_corpus.speech_checks import edit_distance, letters_said

WANTED = {"en": 40, "es": 20, "fr": 20}
DURATION_BANDS_S = [(1.2, 2.0), (2.0, 3.0), (3.0, 4.5), (4.5, 7.0)]
MIN_WORDS = 3
# Digits, acronyms, spelled letters, and a misspelled word.
READ_IN_A_WAY_OF_ITS_OWN = re.compile(r"\d|\b[A-Z]{2,}\b|\b[A-Z] [A-Z]\b|Un-indentified")
# Two texts are near duplicates below this edit distance, as a share of the longer one's length.
NEAR_DUPLICATE = 0.25


def hash_order(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()


def near_duplicate(a: str, b: str) -> bool:
    """Whether two texts (as `letters_said`) are nearly the same, or the first is a part of the second."""
    if a in b:
        return True
    longest = max(len(a), len(b))
    missing = max(sum((Counter(a) - Counter(b)).values()), sum((Counter(b) - Counter(a)).values()))
    if missing >= NEAR_DUPLICATE * longest:  # letters that must change at least: a cheap lower bound
        return False
    return edit_distance(a, b) < NEAR_DUPLICATE * longest


def choose(rows: Sequence, language: str, audible: Callable[[object], bool]) -> list[str]:
    """Ids of the held-out rows of one language; rows have id, text, duration_s.

    `audible(row)` says whether the real recording is understood; raises ValueError where too few remain.
    """
    said = {row.id: letters_said(row.text, language) for row in rows}
    wanted = WANTED[language]
    taken, spare = [], []
    for low_s, high_s in DURATION_BANDS_S:
        band = [row for row in rows if low_s <= row.duration_s < high_s and suitable(row) and audible(row)]
        band = [row for row in sorted(band, key=lambda row: hash_order(row.id)) if alone(row, said)]
        quota = wanted // len(DURATION_BANDS_S)
        taken += band[:quota]
        spare += band[quota:]
    spare.sort(key=lambda row: hash_order(row.id))
    taken += spare[: wanted - len(taken)]
    if len(taken) < wanted:
        raise ValueError(f"{language}: {len(taken)} sentences fit the held-out list, expected {wanted}")
    return sorted(row.id for row in taken)


def suitable(row) -> bool:
    return len(row.text.split()) >= MIN_WORDS and not READ_IN_A_WAY_OF_ITS_OWN.search(row.text)


def alone(row, said: dict[str, str]) -> bool:
    return not any(near_duplicate(said[row.id], other) for id, other in said.items() if id != row.id)
