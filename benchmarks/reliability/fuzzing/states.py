"""The folder of a run, as a stranger or a bad disk may have made it, read as a run that goes on reads it."""

import contextlib
import copy
import io
import random
import shutil
from dataclasses import replace
from pathlib import Path

from benchmarks.reliability.fuzzing.drawn import field_changed, file_changed, file_replaced
from training.state import run_state
from training.state.checkpoint import CheckpointFolder
from training.state.checksums import seal
from training.state.run_folder import RunFolder
from training.state.state_files import load_best

JSON = ("training_state.json", "training_state.json", "optimizer.json", "random_state_0.json", "config.json")
JSON += ("checksums.json", "vocabulary.json")


def run_folder(draw: random.Random, work: Path, kit) -> None:
    """A checkpoint harmed, sealed anew or not, or what lies beside it; then all that a resume reads."""
    run = shutil.copytree(kit.run, work / "run", symlinks=True)
    newest = max(run.glob("checkpoints/step-*"))
    for _ in range(draw.randint(1, 3)):
        beside = draw.choice(
            [run / "goya_run.json", run / "report.json", run / "best" / "config.json", run / "run.lock"]
        )
        folder = newest if draw.random() < 0.8 else draw.choice([run / "best", newest.with_name("step-00000002")])
        path = draw.choice([*(folder / name for name in JSON), *sorted(newest.iterdir()), beside])
        if path.exists():
            draw.choice([field_changed, field_changed, file_changed, file_replaced])(draw, path)
    if draw.random() < 0.8:
        with contextlib.suppress(OSError):  # what cannot be read cannot be sealed
            seal(newest) if _is_plain(newest) else None
    with contextlib.redirect_stdout(io.StringIO()):
        _go_on(draw, run, kit)


def _is_plain(folder: Path) -> bool:
    return all(path.is_file() and not path.is_symlink() for path in folder.rglob("*"))


def _go_on(draw: random.Random, run: Path, kit) -> None:
    trainer = kit.trainer
    settings = replace(trainer.config.checkpoint, dir=str(run), reset=draw.random() < 0.1)
    config = replace(trainer.config, checkpoint=settings)
    trainer.checkpoints = CheckpointFolder(trainer.accelerator, run, 2, lambda folder: None)
    folder = RunFolder(config, trainer.provenance, trainer.accelerator)
    groups = copy.deepcopy([{k: v for k, v in one.items() if k != "params"} for one in trainer.optimizer.param_groups])
    try:
        folder.check()
        trainer.checkpoints.prepare(settings.reset)
        folder.take()
        found = trainer.checkpoints.to_resume(settings)
        if found is not None:
            trainer.checkpoints.step_of(found)
            run_state.resume(trainer, found)
        if (run / "best").is_dir() and draw.random() < 0.3:
            load_best(trainer.raw_model, run / "best")
    finally:
        folder.release()
        for group, kept in zip(trainer.optimizer.param_groups, groups, strict=True):
            group.update(kept)
