from functools import partial
from pathlib import Path

import datasets

from data_pipeline.reading.request import Request
from data_pipeline.reading.sources import Opened
from data_pipeline.reading.splits import TRAIN


def read_kaldi(request: Request) -> Opened | None:
    """a folder with wav.scp (id and path) and text (id and transcript), as Kaldi has them"""
    if not request.beside("wav.scp"):
        return None
    if request.split != TRAIN:
        return Opened(None)
    folder = str(request.path)
    return Opened(
        partial(datasets.IterableDataset.from_generator, rows, gen_kwargs={"folders": [folder]}), folder=folder
    )


def rows(folders: list[str]):
    for folder in map(Path, folders):
        lines = (folder / "text").read_text(encoding="utf-8").splitlines()
        said = dict(line.split(maxsplit=1) for line in lines)
        for line in (folder / "wav.scp").read_text(encoding="utf-8").splitlines():
            name, path = line.split(maxsplit=1)
            yield {"id": name, "text": said.get(name), "audio": path}
