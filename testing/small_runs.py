"""A small corpus of real speech and debug-size runs on it, for all tests that train; made once a session."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pyarrow
import pyarrow.parquet
import torch
from accelerate.state import AcceleratorState, GradientState
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import train_main
from data_pipeline.batching.features import FeatureMaker, Features
from data_pipeline.reading.sources import Source, open_source
from data_pipeline.recordings.audio import AudioConfig

ROOT = Path(__file__).parents[1]
DEMO = ROOT / "assets" / "demo_corpus"
ROWS = 30
# A schedule by hand, so that it does not depend on the length of the run; the smallest of everything else.
SMALL = (
    "--model-size debug --device cpu --mixed-precision no --batch-size 4 --grad-accum 2 --num-workers 0 "
    "--set train.cpu_threads=1 --set optim.warmup_steps=2 --set optim.first_period_steps=4 --set log.every_steps=1 "
    "--set log.samples=0 --set log.quality_sentences=0"
).split()


@cache
def folder() -> Path:
    """A temporary folder that goes when the session ends."""
    holder = tempfile.TemporaryDirectory(prefix="goya-tests-")
    folder.holder = holder  # deleted with it
    return Path(holder.name)


@cache
def corpus() -> Path:
    """train.parquet: the 30 first English recordings of 0.8 to 2 s; validation.parquet: 4 Spanish and French ones."""
    path = folder() / "corpus"
    path.mkdir()
    table = pyarrow.parquet.read_table(DEMO / "train-en.parquet")
    short = [row for row in table.to_pylist() if 0.8 < row["duration_s"] < 2.0][:ROWS]
    heldout = pyarrow.parquet.read_table(DEMO / "heldout.parquet").to_pylist()
    foreign = sorted((row for row in heldout if row["language"] != "en"), key=lambda row: row["duration_s"])[:4]
    for name, rows in (("train", short), ("validation", foreign)):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=table.schema), path / f"{name}.parquet")
    return path


def rows() -> list[dict]:
    """The training rows of `corpus`."""
    return pyarrow.parquet.read_table(corpus() / "train.parquet").to_pylist()


def source() -> Source:
    return open_source(str(corpus()))


@cache
def features() -> list[Features]:
    """The training utterances, decoded, for two frames a step."""
    make, opened = FeatureMaker(AudioConfig(), frames_per_step=2), source()
    return [make(opened.to_utterance(row)) for row in opened.rows()]


def train(run: Path, *arguments: str, callbacks: Sequence = ()) -> int:
    """train_main.main in this process, on the small corpus; its exit code."""
    forget_accelerator()
    data = ["--train-data", str(corpus()), "--checkpoint-dir", str(run)]
    return train_main.main([*data, *SMALL, *arguments], callbacks=callbacks)


def forget_accelerator() -> None:
    """accelerate keeps one state a process; a new run starts without the old one's."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def launch(
    script: str | Path,
    *arguments: str,
    processes: int = 1,
    config: str | None = None,
    flags: str = "",
    paths: Sequence[Path] = (),
    **more,
) -> subprocess.CompletedProcess:
    """A script in a process of its own, or in several over gloo; output captured as text.

    With "fsdp2" or another `config` of accelerate_configs, the script imports testing.distributed.fsdp2_on_cpu first,
    and train_main's arguments end with `--device auto`. `flags`: more for accelerate launch. `paths`: folders of
    installed packages.
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *paths))), "PYTHONUNBUFFERED": "1"}
    start = [sys.executable]
    if processes > 1:
        start += ["-m", "accelerate.commands.accelerate_cli", "launch"]
        start += f"--num_processes {processes} --num_machines 1 --main_process_port 0 {flags}".split()
    if config is not None:
        environment["CUDA_VISIBLE_DEVICES"] = ""
        start += ["--config_file", str(ROOT / "accelerate_configs" / f"{config}.yaml")]
    elif processes > 1:
        environment["ACCELERATE_USE_CPU"] = "true"
        start += "--multi_gpu --mixed_precision no --dynamo_backend no".split()
    command = [*start, str(script), *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=folder(), capture_output=True, text=True, timeout=180, **more)


def scalars(run: Path) -> dict[str, dict[int, float]]:
    """TensorBoard's curves: name -> step -> value, over all sessions of a run, later ones over earlier."""
    curves: dict[str, dict[int, float]] = {}
    for file in sorted((run / "logs" / "goya").glob("events.out.*")):
        events = EventAccumulator(str(file)).Reload()
        for tag in events.Tags()["scalars"]:
            curves.setdefault(tag, {}).update({event.step: event.value for event in events.Scalars(tag)})
    return curves


CLOCKED = ("step_s", "frames_per_s", "quality/seconds", "data_wait_share")


def losses(run: Path) -> dict[str, dict[int, float]]:
    """Of `scalars`, what has to be equal when a run is repeated: everything but the clock's."""
    return {name: curve for name, curve in scalars(run).items() if name not in CLOCKED}


def newest(run: Path) -> Path:
    return sorted((run / "checkpoints").glob("step-????????"))[-1]


def assert_equal_ends(one: Path, other: Path) -> None:
    """Bit for bit: weights, optimizer state, callbacks' state, place in the data of the newest checkpoints."""
    one, other = newest(one), newest(other)
    assert one.name == other.name
    files = [path.relative_to(one) for path in sorted(one.rglob("*.safetensors"))]
    assert files == [path.relative_to(other) for path in sorted(other.rglob("*.safetensors"))]
    for file in files:
        found, expected = load_file(one / file), load_file(other / file)
        assert found.keys() == expected.keys()
        assert [name for name in found if not torch.equal(found[name], expected[name])] == []
    assert (one / "optimizer.json").read_text() == (other / "optimizer.json").read_text()
    states = [json.loads((path / "training_state.json").read_text()) for path in (one, other)]
    for key in ("cursor", "callbacks", "voices"):
        assert states[0][key] == states[1][key], key


@cache
def trained_run() -> tuple[Path, subprocess.CompletedProcess]:
    """A whole run of python train_main.py: 6 steps, an evaluation and a checkpoint every 3, a sample at the end."""
    run = folder() / "trained"
    every = "train.eval_every=3 checkpoint.every_steps=3 log.samples=1".split()
    sets = [word for assignment in every for word in ("--set", assignment)]
    data = ["--train-data", corpus(), "--checkpoint-dir", run]
    return run, launch(ROOT / "train_main.py", *data, *SMALL, *sets, "--max-steps", "6")
