"""Which files or splits of a corpus are for training and which are for validation, told by their names."""

import re

TRAIN, VALIDATION = "train", "validation"
# What holds one of these words is not for training; the first word that something has is the validation data.
VALIDATION_WORDS = ("validation", "valid", "val", "dev", "eval", "heldout", "held", "test")


def of_split(names: list[str], split: str, root: str = "") -> list[str]:
    """The names that belong to a split, by the words in what follows root.

    train: those that say train, or where none does, those that say nothing. validation: those with the first of
    VALIDATION_WORDS that occurs. A name that is root itself was chosen by the user and is for training.
    """
    by_word: dict[str, list[str]] = {}
    for name in names:
        words = re.findall(r"[a-z]+", name.removeprefix(root).lower())
        word = next((word for word in VALIDATION_WORDS if word in words), TRAIN if TRAIN in words else "")
        by_word.setdefault(word, []).append(name)
    if split == TRAIN:
        return by_word.get(TRAIN) or by_word.get("", [])
    return next((by_word[word] for word in VALIDATION_WORDS if word in by_word), [])
