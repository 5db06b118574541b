"""What must hold of a run folder after a crash, and at the end. Each is run in a forked child: it computes."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from tests import small_runs

CHECKSUMS = "checksums.json"


def whole_checkpoints(run: Path) -> list[Path]:
    """Oldest first, by their names alone."""
    return sorted((run / "checkpoints").glob("step-????????"))


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))


def check_readable(folders: list[Path]) -> int:
    """Load every file of checkpoints, or of `best`, as their users do; raises whatever that raises."""
    for folder in folders:
        GoyaForTextToSpeech.from_pretrained(folder)
        GoyaProcessor.from_pretrained(folder)
        for path in folder.iterdir():
            if path.suffix == ".safetensors":
                load_file(path)
            elif path.suffix == ".json":
                json.loads(path.read_text(encoding="utf-8"))
        if (folder / CHECKSUMS).is_file():
            _check_sums(folder)
    return 0


def _check_sums(folder: Path) -> None:
    for name, expected in json.loads((folder / CHECKSUMS).read_text(encoding="utf-8")).items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert found == expected, f"{name} has the sha256 {found}, not {expected}"


def check_equal(run: Path, unbroken: Path) -> int:
    """Raises AssertionError where a run that was killed again and again did not end as the unbroken one, bit for bit.

    Weights, optimizer, callbacks, place in the data; the best weights; every curve; and no half-written folder left.
    """
    small_runs.assert_equal_ends(run, unbroken)
    best, expected = (load_file(path / "best" / "model.safetensors") for path in (run, unbroken))
    assert [name for name in expected if not torch.equal(best[name], expected[name])] == []
    curves, expected = small_runs.losses(run), small_runs.losses(unbroken)
    assert curves.keys() == expected.keys()
    for name, curve in expected.items():
        assert curves[name] == curve, f"{name}: {curves[name]} is not {curve}"
    for file in (run / "logs" / "goya").glob("events.out.*"):  # what an attempt saw and then lost, too
        events = EventAccumulator(str(file)).Reload()
        for name in expected.keys() & set(events.Tags()["scalars"]):
            for event in events.Scalars(name):
                assert event.value == expected[name][event.step], f"{file.name}, {name}, step {event.step}"
    assert list(run.rglob("*.partial")) == []
    return 0
