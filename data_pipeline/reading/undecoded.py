"""Streams of `datasets` with their audio as bytes or paths, which the Audio feature gives only with torchcodec."""

import datasets


class UndecodedAudio(datasets.Audio):
    """Audio(decode=False) that takes a row's audio without torchcodec, which datasets wants even to store bytes."""

    def encode_example(self, value) -> dict:
        if isinstance(value, dict):
            return {"bytes": value.get("bytes"), "path": value.get("path")}
        if isinstance(value, bytes):
            return {"bytes": value, "path": None}
        return {"bytes": None, "path": None if value is None else str(value)}


def undecoded(rows: datasets.IterableDataset) -> datasets.IterableDataset:
    """The same rows with every Audio column left undecoded."""
    for name, feature in (rows.features or {}).items():
        if isinstance(feature, datasets.Audio):
            rows = rows.cast_column(name, UndecodedAudio(sampling_rate=feature.sampling_rate, decode=False))
    return rows
