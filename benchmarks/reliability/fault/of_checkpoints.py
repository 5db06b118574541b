"""Disks that are full, checkpoints that were damaged, folders that cannot be written to, checkpoints of strangers."""

import hashlib
import json
import os
import pickle
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from unittest import mock

import datasets

from benchmarks.reliability.crash.checks import CHECKSUMS
from benchmarks.reliability.fault.stage import AtStep, Stage

DISK_MB, LEFT_MB = 96, 1  # of the small disk, and what is left of it once it is full
NOBODY = 65534  # a user who owns nothing


# A full disk


def disk_full_while_saving(stage: Stage) -> str:
    with small_disk(stage.run) as disk:
        stage.start_from(2)
        with disk.filled() as inside:
            done = stage.train(inside=inside)
            done.require_code(2)
            for step in (3, 6):
                done.require_said(f"Step {step}: no checkpoint was written (")
            done.require(stage.checkpoints()[-1] == "step-00000002", "the old checkpoints")
            done.require(not list((stage.run / "checkpoints").glob("*.partial")), "no half-written folder")
        again = stage.train()
        again.require_code(0)
        again.require(stage.is_as_unbroken(), "an end bit-equal to that of an unbroken run, once there is space")
    return f"{disk.kind}: said at each save, training goes on, old ones intact, exit code 2; resumes bit-equal"


def disk_full_for_a_while(stage: Stage) -> str:
    with small_disk(stage.run) as disk:
        stage.start_from(2)
        with disk.filled(until_step=4) as inside:
            done = stage.train(inside=inside)
        done.require_code(0)
        done.require_said("Step 3: no checkpoint was written (")
        done.require(stage.checkpoints()[-1] == "step-00000006", "a checkpoint as soon as there is space")
        done.require(stage.is_as_unbroken(), "an end bit-equal to that of an unbroken run")
    return f"{disk.kind}: said, tried again at the next save, which works; the end is bit-equal"


def disk_full_to_the_last_byte(stage: Stage) -> str:
    """Between two steps, by somebody else, as curves are written to it too."""
    with small_disk(stage.run) as disk:
        if not isinstance(disk, Mounted):
            return "not tried: needs root, for a disk of its own"
        # So many steps between that their curves do not fit into what is left of a file's last block.
        blows = (AtStep(2, partial(disk.fill, 0)), AtStep(18, disk.ballast.unlink))
        done = stage.train(steps=20, inside=partial(nullcontext, blows))
        done.require_code(0)
        done.require(stage.is_as_unbroken(steps=20), "an end bit-equal to that of an unbroken run")
    return "said, training goes on; the end is bit-equal"


class Mounted:
    """A disk of its own (tmpfs) under the run folder."""

    kind = "tmpfs"

    def __init__(self, folder: Path):
        self.ballast = folder / "ballast"

    def fill(self, left_mb: int) -> None:
        free = shutil.disk_usage(self.ballast.parent).free
        self.ballast.write_bytes(bytes(free - left_mb * 2**20))

    @contextmanager
    def filled(self, until_step: int | None = None) -> Iterator:
        self.fill(LEFT_MB)
        yield partial(nullcontext, [AtStep(until_step, self.ballast.unlink)] if until_step else [])
        self.ballast.unlink(missing_ok=True)


class Limited:
    """Where nothing can be mounted: no file of the process can become larger than the weights."""

    kind = "RLIMIT_FSIZE"

    @contextmanager
    def filled(self, until_step: int | None = None) -> Iterator:
        yield partial(_limited_files, until_step)


@contextmanager
def _limited_files(until_step: int | None) -> Iterator[list[AtStep]]:
    set_limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE)
    set_limit((LEFT_MB * 2**20, resource.RLIM_INFINITY))
    lift = AtStep(until_step, lambda: set_limit((resource.RLIM_INFINITY, resource.RLIM_INFINITY)))
    yield [lift] if until_step else []


@contextmanager
def small_disk(folder: Path) -> Iterator[Mounted | Limited]:
    """A disk of `DISK_MB` mounted at `folder`, where this process may mount."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        yield Limited()
        return
    try:
        yield Mounted(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


# Damage


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def one_before_is_used(harm, kind: str, stage: Stage) -> str:
    """`harm` damages a file of the newest checkpoint. kind: the file's name without what comes after the dot."""
    stage.start_from(4)
    [harmed] = [path for path in stage.newest().iterdir() if path.stem == kind and path.suffix != ".json"] or [
        stage.newest() / f"{kind}.json"
    ]
    harm(harmed)
    done = stage.train()
    done.require_code(0)
    done.require_said("step-00000004 is damaged: ")
    done.require_said(harmed.name)
    done.require(stage.is_as_unbroken(), "an end bit-equal to that of an unbroken run")
    return f"{harmed.name}: found, said, the checkpoint before is used; the end is bit-equal"


def damaged_checkpoint_named_by_hand(stage: Stage) -> str:
    stage.start_from(4)
    flip_a_bit(stage.newest() / "model.safetensors")
    done = stage.train("--resume", stage.newest())
    done.require_code(2)
    done.require_said("is damaged: ")
    return "exit code 2, said which file"


def all_checkpoints_damaged(stage: Stage) -> str:
    stage.start_from(4)
    for checkpoint in (stage.run / "checkpoints").iterdir():
        truncate(checkpoint / "model.safetensors")
    done = stage.train()
    done.require_code(2)
    done.require_said("damaged")
    done.require("step 1/" not in done.said, "no start from nothing")
    again = stage.train()
    again.require(again.code == 2, "exit code 2 a second time, too")
    return "exit code 2, said; no start from nothing, a second time neither"


# A folder that cannot be written to


def read_only_run_folder(stage: Stage) -> str:
    with tempfile.TemporaryDirectory(prefix="goya-read-only-") as holder:  # where others may look, as in no home
        run, corpus = Path(holder) / "run", Path(holder) / "corpus"
        run.mkdir()
        shutil.copytree(stage.work / "corpus", corpus)
        run.chmod(0o555)
        Path(holder).chmod(0o755)
        done = stage.train(run=run, corpus=corpus, inside=partial(as_nobody, Path(holder) / "cache"))
        left = list(run.iterdir())
        run.chmod(0o755)
    done.require_code(2)
    done.require_said("cannot be written")
    done.require("step 1/" not in done.said and not left, "a message before training starts")
    return "exit code 2 before training starts, said"


@contextmanager
def as_nobody(cache: Path) -> Iterator[None]:
    """root writes where nobody else can. cache: a folder for what `datasets` keeps at home."""
    cache.mkdir(exist_ok=True)
    cache.chmod(0o777)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    with mock.patch.object(datasets.config, "HF_DATASETS_CACHE", cache):
        yield


# Strangers


def hostile_training_state(stage: Stage) -> str:
    """Values for attributes that no checkpoint has to set: where files go, and what is called."""
    stage.start_from(4)
    evil = stage.folder / "evil"
    state = stage.newest() / "training_state.json"
    saved = json.loads(state.read_text(encoding="utf-8"))
    paths = {"folder": str(evil), "every_s": 0, "spoken_at": -1e9, "_speak": str(evil)}
    for name in ("AudioSamples", "Tracking", "Progress", "SpikeGuard", "EarlyStopping"):
        saved["callbacks"].setdefault(name, {}).update(paths)
    saved["config"]["checkpoint"]["dir"] = str(evil)
    saved["trainer"]["best_model_checkpoint"] = str(evil)
    state.write_text(json.dumps(saved), encoding="utf-8")
    seal(stage.newest())
    done = stage.train("--set", "log.samples=1")
    done.require(not evil.exists(), "nothing written outside the run folder")
    done.require_code(0)
    done.require(bool(list((stage.run / "samples").glob("*.wav"))), "samples in the run folder")
    return "foreign attributes are not set, nothing is written outside the run folder"


class Exploit:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def hostile_pickle(stage: Stage) -> str:
    stage.start_from(4)
    evil = stage.folder / "evil"
    content = pickle.dumps(Exploit(evil))
    for name in ("random_states_0.pkl", "random_state_0.pkl", "optimizer.bin", "scheduler.bin", "pytorch_model.bin"):
        (stage.newest() / name).write_bytes(content)
    seal(stage.newest())
    done = stage.train()
    done.require(not evil.exists(), "no pickle is loaded")
    done.require("Traceback" not in done.said, "no traceback")
    done.require(done.code in (0, 2), "exit code 0 or 2")
    return f"no pickle is loaded, exit code {done.code}"


def seal(checkpoint: Path) -> None:
    """Checksums that fit what is there: a stranger's damage is no accident."""
    listed = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in checkpoint.iterdir()}
    listed.pop(CHECKSUMS, None)
    if (checkpoint / CHECKSUMS).is_file():
        (checkpoint / CHECKSUMS).write_text(json.dumps(listed), encoding="utf-8")


FAULTS = {
    "disk full while saving": disk_full_while_saving,
    "disk full for a while": disk_full_for_a_while,
    "disk full to the last byte": disk_full_to_the_last_byte,
    "truncated weights": partial(one_before_is_used, truncate, "model"),
    "truncated optimizer state": partial(one_before_is_used, truncate, "optimizer"),
    "a bit flipped in the weights": partial(one_before_is_used, flip_a_bit, "model"),
    "a bit flipped in the optimizer state": partial(one_before_is_used, flip_a_bit, "optimizer"),
    "a bit flipped in the training state": partial(one_before_is_used, flip_a_bit, "training_state"),
    "damaged checkpoint named by hand": damaged_checkpoint_named_by_hand,
    "all checkpoints damaged": all_checkpoints_damaged,
    "read-only run folder": read_only_run_folder,
    "hostile training state": hostile_training_state,
    "hostile pickle": hostile_pickle,
}
