"""Checkpoints: written under a temporary name, renamed when whole, checked when read, rotated so that the newest stay.

<run folder>/checkpoints/step-00000500/   a model folder (config.json, model.safetensors, processor) that
                                          from_pretrained reads, beside optimizer, random and training state; where
                                          the model is sharded, model/ in place of model.safetensors
<run folder>/best/                        the model folder of the best evaluation
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from accelerate import Accelerator
from safetensors import SafetensorError
from torch.distributed.checkpoint import CheckpointException

from data_pipeline.errors import UserError
from inference.safe_folder import read_json
from training.config.fields import CheckpointConfig
from training.distributed.collectives import as_main_says, first_failure
from training.state.checksums import CHECKSUMS, damage, flush, seal
from training.state.saved_state import check_like, reading
from training.state.state_files import StateFiles

PARTIAL = ".partial"
DAMAGED = ".damaged"
STATE = "training_state.json"
MOST_STATE_BYTES = 2**31  # eleven for each row that the epoch has trained on
REPLACED = ".replaced"  # for a moment, while a newer checkpoint of the same step takes its place
WHOLE = re.compile(r"step-(\d{8,})")
WRITE_ERRORS = (OSError, SafetensorError, CheckpointException)


class CheckpointFolder:
    """The checkpoints of one run. Methods without "main process only" are to be called on every rank.

    Args:
        accelerator: who is the main process, and what the others say.
        root: the run folder.
        keep: how many checkpoints stay, the newest among them.
        export: writes what makes a folder loadable by from_pretrained, beside the weights.
        add_code: writes beside the best model what makes it loadable where this code is not.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        root: Path,
        keep: int,
        export: Callable[[Path], None],
        add_code: Callable[[Path], None] | None = None,
    ):
        self.accelerator, self.root, self.keep = accelerator, Path(root), keep
        self.export, self.add_code = export, add_code
        self.folder = self.root / "checkpoints"

    def all(self) -> list[Path]:
        """Checkpoints that were written to the end, oldest first."""
        found = [path for path in self.folder.glob("step-*") if WHOLE.fullmatch(path.name) and _is_checkpoint(path)]
        return sorted(found, key=_step)

    def newest(self) -> Path | None:
        return next(iter(reversed(self.all())), None)

    # Reading

    def to_resume(self, config: CheckpointConfig) -> Path | None:
        """The checkpoint that `checkpoint.resume` means: the newest undamaged one ("auto"), none, or the one at a path.

        Raises UserError for a path that is no checkpoint or a damaged one, and where all checkpoints are damaged.
        """
        if config.resume == "none":
            return None
        if config.resume == "auto":
            return self.newest_undamaged()
        path = Path(config.resume)
        self._together(lambda: check(path))
        if path.resolve() in [one.resolve() for one in self.all()]:
            self.set_aside_later(_step(path))
        return path

    def newest_undamaged(self, until: int | None = None) -> Path | None:
        """Of no later step than `until`. Damaged ones on the way are said and renamed, so that nobody takes them for
        whole."""
        step = -1
        found = [path for path in self.all() if until is None or _step(path) <= until]

        def look() -> None:
            nonlocal step
            for path in reversed(found):
                harm = damage(path)
                if harm is None:
                    step = _step(path)
                    return
                aside = _free_name(path, DAMAGED)
                os.replace(path, aside)
                print(f"{path} is damaged: {harm}. It was renamed to {aside.name}; the one before is used.")
            damaged = list(self.folder.glob(f"step-*{DAMAGED}*"))
            if damaged and until is None:  # these, or those of an attempt before this
                raise UserError(
                    f"All {len(damaged)} checkpoints in {self.folder} are damaged. Restore one from a copy, or start "
                    "over: --reset-training moves the old run aside, --resume none leaves them there."
                )

        self._together(look)
        step = as_main_says(self.accelerator, step)
        return None if step < 0 else self.folder / f"step-{step:08d}"

    def training_state(self, path: Path) -> dict:
        """What `save` was given as `state`."""
        return read_json(path, STATE, MOST_STATE_BYTES)

    def step_of(self, path: Path) -> int:
        """Optimizer steps that a checkpoint has taken. Raises UserError where it does not say so."""
        saved = self.training_state(path)
        with reading(path):
            check_like(saved["trainer"]["global_step"], 0, path, "trainer.global_step")
        return saved["trainer"]["global_step"]

    def set_aside_later(self, step: int) -> None:
        """A run that goes back must not find the checkpoints of the way it left: those of steps after this one."""
        self._together(lambda: self._set_aside_later(step))

    def _set_aside_later(self, step: int) -> None:
        for later in self.all():
            if _step(later) > step:
                os.replace(later, _free_name(later, ".aside"))
                print(f"{later} was set aside, as the run goes back to step {max(0, step)}.", flush=True)

    # Writing

    def prepare(self, reset: bool) -> None:
        """Make the run folder before training starts, or start it over: `reset` moves an old one aside.

        Raises UserError where nothing can be written there.
        """

        def try_it() -> None:
            try:
                moved = move_aside(self.root) if reset else None
                if moved:
                    print(f"The old run was moved to {moved}.")
                self.folder.mkdir(parents=True, exist_ok=True)
                for name in (self.folder / f"write-test{PARTIAL}", self.root / f"write-test{PARTIAL}"):
                    name.write_text("")
                    name.unlink()
                self._tidy()
            except OSError as error:
                raise UserError(
                    f"The run folder {self.root} cannot be written to ({error.strerror or error}). Give another one "
                    "with --checkpoint-dir, or change its permissions."
                ) from error

        self._together(try_it)

    def _tidy(self) -> None:
        """What a process that was killed left half-done."""
        replaced = [(self.root / "best", self.root / f"best{REPLACED}")]
        replaced += [(path.with_suffix(""), path) for path in self.folder.glob(f"step-*{REPLACED}")]
        for path, old in replaced:
            if old.is_dir() and not path.exists():
                os.replace(old, path)
            elif old.is_dir():
                _remove(old)
        for leftover in (*self.folder.glob(f"*{PARTIAL}"), *self.root.glob(f"best*{PARTIAL}")):
            shutil.rmtree(leftover)

    def save(self, step: int, state: dict, files: StateFiles) -> Path | None:
        """Write a checkpoint of `step`; `state` is plain JSON. None where it could not be written, which it says."""
        final = self.folder / f"step-{step:08d}"
        partial = final.with_name(final.name + PARTIAL)
        parts = (lambda: _emptied(partial), lambda: files.save(partial), lambda: self._finish(partial, final, state))
        failure = self._in_parts(parts)
        if failure is None:
            return final
        if self.accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)  # whose space may be what is missing
            free_mb = shutil.disk_usage(self.root).free / 2**20
            print(
                f"Step {step}: no checkpoint was written ({failure}); {free_mb:.0f} MB are free. The newest is "
                f"{self.newest() or 'none yet'}. Training goes on and tries again at the next save.",
                flush=True,
            )
        return None

    def _finish(self, partial: Path, final: Path, state: dict) -> None:
        self.export(partial)
        (partial / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
        seal(partial)
        _replace(partial, final)
        flush(self.folder)
        for outdated in self.all()[: -self.keep]:
            _remove(outdated)

    def save_best(self, write_weights: Callable[[Path], None]) -> None:
        """Replace the folder `best` by one that `write_weights` (called on every rank) fills."""
        best, partial = self.root / "best", self.root / f"best{PARTIAL}"
        parts = (lambda: _emptied(partial), lambda: write_weights(partial), lambda: self._finish_best(partial, best))
        failure = self._in_parts(parts)
        if failure is not None and self.accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
            print(f"The best model so far was not written ({failure}); {best} stays as it was.", flush=True)

    def _finish_best(self, partial: Path, best: Path) -> None:
        self.export(partial)
        if self.add_code is not None:
            self.add_code(partial)
        _replace(partial, best)

    # All ranks together

    def _in_parts(self, parts: Iterable[Callable[[], None]]) -> str | None:
        """First the main process, then every one, then the main process; what went wrong on any, on every one."""
        for part, everyone in zip(parts, (False, True, False), strict=True):
            failure = None
            if everyone or self.accelerator.is_main_process:
                try:
                    part()
                except WRITE_ERRORS as error:
                    failure = str(error) or type(error).__name__
            failure = first_failure(self.accelerator, failure)
            if failure is not None:
                return failure
        return None

    def _together(self, part: Callable[[], None]) -> None:
        """Run `part` on the main process; its UserError is raised on every rank."""
        failure = None
        if self.accelerator.is_main_process:
            try:
                part()
            except UserError as error:
                failure = str(error)
        failure = first_failure(self.accelerator, failure)
        if failure is not None:
            raise UserError(failure)


def check(path: Path) -> None:
    """Raises UserError where `path` is no checkpoint, or a damaged one."""
    if not os.path.isfile(path / STATE):
        raise UserError(
            f"{path} is not a checkpoint of a run: it has no {STATE}. Give a folder such as "
            "runs/my_run/checkpoints/step-00000500; without --resume a run goes on from its newest."
        )
    harm = damage(path)
    if harm is not None:
        raise UserError(f"{path} is damaged: {harm}. Without --resume a run goes on from the newest that is whole.")


def move_aside(root: Path) -> Path | None:
    """Rename an old run folder (--reset-training); its new name, or None where there was none."""
    if not root.exists():
        return None
    aside = _free_name(root, ".old")
    os.replace(root, aside)
    return aside


def _is_checkpoint(path: Path) -> bool:
    return (path / STATE).is_file() and (path / CHECKSUMS).is_file()


def _step(path: Path) -> int:
    return int(WHOLE.fullmatch(path.name)[1])


def _free_name(path: Path, ending: str) -> Path:
    number = 1
    while (free := path.with_name(f"{path.name}{ending}{number}")).exists():
        number += 1
    return free


def _emptied(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def _replace(partial: Path, final: Path) -> None:
    """Folders cannot be exchanged in one step; what a kill between two of these leaves, `_tidy` puts right."""
    old = final.with_name(final.name + REPLACED)
    if final.exists():
        os.replace(final, old)
    os.replace(partial, final)
    if old.exists():
        _remove(old)


def _remove(path: Path) -> None:
    """Under another name first: a checkpoint that is half deleted must not pass for one."""
    doomed = path.with_name(path.name + PARTIAL)
    os.replace(path, doomed)
    shutil.rmtree(doomed)
