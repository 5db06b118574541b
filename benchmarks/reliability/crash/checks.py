"""What must hold of a run folder after a crash, and at the end. Each is run in a forked child: it computes."""

import hashlib
import json
from pathlib import Path

from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from testing import small_runs

CHECKSUMS = "checksums.json"
CLOCKED = ("seconds", "seconds_to_first_step", "data_wait_share")  # of a report's result


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

    Weights, optimizer, callbacks, place in the data; every file of best/; the report but for what the clock and the
    machine say; every curve, with each step once; and no half-written folder left.
    """
    small_runs.assert_equal_ends(run, unbroken)
    files, expected = (sorted(path.name for path in (one / "best").iterdir()) for one in (run, unbroken))
    assert files == expected
    for name in files:
        assert _content(run / "best" / name, run) == _content(unbroken / "best" / name, unbroken), f"best/{name}"
    assert _report(run) == _report(unbroken)
    curves, expected = small_runs.losses(run), small_runs.losses(unbroken)
    assert curves.keys() == expected.keys()
    for name, curve in expected.items():
        assert curves[name] == curve, f"{name}: {curves[name]} is not {curve}"
    for file in (run / "logs" / "goya").glob("events.out.*"):  # what an attempt saw and then lost, too
        events = EventAccumulator(str(file)).Reload()
        for name in expected.keys() & set(events.Tags()["scalars"]):
            for event in events.Scalars(name):
                assert event.value == expected[name][event.step], f"{file.name}, {name}, step {event.step}"
    shown = EventAccumulator(str(run / "logs" / "goya"), purge_orphaned_data=True).Reload()
    for name in expected:
        steps = [event.step for event in shown.Scalars(name)]
        assert steps == sorted(expected[name]), f"{name} is shown at the steps {steps}"
    assert list(run.rglob("*.partial")) == []
    return 0


def _content(path: Path, run: Path) -> bytes:
    """A file, with the name of the run's own folder left out: a model's card names it."""
    return path.read_bytes().replace(str(run).encode(), b"")


def _report(run: Path) -> dict:
    """Of report.json, what does not depend on the clock, nor on the folder and the loading processes of the run."""
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    result = {name: value for name, value in report["result"].items() if name not in CLOCKED}
    return {name: report[name] for name in ("quality", "callbacks", "rows")} | {"result": result}
