"""Checkpoints: written under a temporary name, renamed when whole, rotated so that best and newest stay.

<run folder>/checkpoints/step-00000500/   a model folder (config.json, model.safetensors, processor) that
                                          from_pretrained reads, beside optimizer, RNG and training state
<run folder>/best/                        the model folder of the best evaluation
"""

import json
import os
import shutil
from pathlib import Path

from accelerate import Accelerator

from data_pipeline.errors import UserError
from training.config import CheckpointConfig

PARTIAL = ".partial"
STATE = "training_state.json"


class CheckpointFolder:
    """The checkpoints of one run.

    Args:
        accelerator: saves and loads model, optimizer, gradient scaler and RNG states, each rank its own.
        root: the run folder.
        keep: how many checkpoints stay, the newest among them.
        export: writes what makes a folder loadable by from_pretrained, beside the weights.
    """

    def __init__(self, accelerator: Accelerator, root: Path, keep: int, export):
        self.accelerator, self.root, self.keep, self.export = accelerator, Path(root), keep, export
        self.folder = self.root / "checkpoints"

    def all(self) -> list[Path]:
        """Whole checkpoints, oldest first."""
        found = [path for path in self.folder.glob("step-*") if (path / STATE).is_file() and PARTIAL not in path.name]
        return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))

    def newest(self) -> Path | None:
        return next(iter(reversed(self.all())), None)

    def to_resume(self, config: CheckpointConfig) -> Path | None:
        """The checkpoint that `checkpoint.resume` means: the newest ("auto"), none, or the one at a path."""
        if config.resume == "auto":
            return self.newest()
        return None if config.resume == "none" else Path(config.resume)

    def save(self, step: int, state: dict) -> Path:
        """Write a checkpoint of `step`; `state` is plain JSON. Call it on every rank."""
        final = self.folder / f"step-{step:08d}"
        partial = final.with_name(final.name + PARTIAL)
        if self.accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        self.accelerator.wait_for_everyone()
        self.accelerator.save_state(str(partial), safe_serialization=True)
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self.export(partial)
            (partial / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
            shutil.rmtree(final, ignore_errors=True)
            os.replace(partial, final)
            self._rotate()
        self.accelerator.wait_for_everyone()
        return final

    def save_best(self, save_weights) -> None:
        """Replace the folder `best` by one that `save_weights` fills. Main process only."""
        best, partial = self.root / "best", self.root / f"best{PARTIAL}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_weights(partial)
        self.export(partial)
        old = self.root / f"best.old{PARTIAL}"
        shutil.rmtree(old, ignore_errors=True)
        if best.exists():
            os.replace(best, old)
        os.replace(partial, best)
        shutil.rmtree(old, ignore_errors=True)

    def load(self, path: Path) -> dict:
        """Restore everything accelerate saved and return the training state. Raises UserError where it is not one."""
        if not (path / STATE).is_file():
            raise UserError(
                f"{path} is not a checkpoint of a run: it has no {STATE}. Give a folder such as "
                f"{self.folder / 'step-00000500'}, or leave out --resume to go on from the newest."
            )
        self.accelerator.load_state(str(path))
        return json.loads((path / STATE).read_text(encoding="utf-8"))

    def _rotate(self) -> None:
        for old in self.all()[: -self.keep]:
            shutil.rmtree(old)
        for leftover in self.folder.glob(f"*{PARTIAL}"):
            shutil.rmtree(leftover, ignore_errors=True)


def move_aside(root: Path) -> Path | None:
    """Rename an old run folder (--reset-training); its new name, or None where there was none."""
    if not root.exists():
        return None
    number = 1
    while (aside := root.with_name(f"{root.name}.old{number}")).exists():
        number += 1
    os.replace(root, aside)
    return aside
