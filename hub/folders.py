"""The folders that are pushed: hard links to a run's files, which then may be rotated away, and what is made for them.

<run folder>/hub/model-00000500-1/            best/ with its code, card, samples and curves
<run folder>/hub/training-state-00000500-2/   as a run folder: checkpoints/step-00000500/ and best/
"""

import os
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hub.card import CURVES, model_card
from hub.curves import Curve, write_curves
from hub.facts import RunFacts
from hub.pusher import Push
from hub.remote_code import PREFIX, add_code

FOLDER = "hub"  # of the run folder
STATE_BRANCH = "training-state"
MOST_SAMPLES = 3


def state_branch(branch: str) -> str:
    """Where the training state of a run that pushes its model to `branch` goes."""
    return STATE_BRANCH if branch == "main" else f"{branch}-{STATE_BRANCH}"


class Folders:
    """Makes them, each under a name of its own. Raises OSError where that cannot be."""

    def __init__(self, run: Path, repo_id: str, branch: str):
        self.run, self.repo_id, self.branch = run, repo_id, branch
        self.made = 0
        clear(run)  # of a run before this, whose files are older

    def model(self, facts: RunFacts, curves: dict[str, Curve]) -> Push:
        """The best model so far, with all that makes it speak elsewhere."""
        folder = self._new(f"model-{facts.steps:08d}")
        _link(self.run / "best", folder)
        add_code(folder)
        samples = newest_samples(self.run / "samples")
        (folder / "samples").mkdir()
        for name in samples:
            for ending in (".wav", ".png"):
                shutil.copyfile(self.run / "samples" / f"{name}{ending}", folder / "samples" / f"{name}{ending}")
        has_curves = write_curves(folder / CURVES, curves)
        card = model_card(self.repo_id, self.branch, replace(facts, samples=samples, has_curves=has_curves))
        (folder / "README.md").write_text(card, encoding="utf-8")
        title = f"The model at step {facts.steps}"
        return Push(folder, self.branch, title, ("samples/*", f"{PREFIX}*.py"))

    def training_state(self, checkpoint: Path) -> Push:
        """What another computer needs to go on."""
        folder = self._new(f"{STATE_BRANCH}-{checkpoint.name.removeprefix('step-')}")
        _link(checkpoint, folder / "checkpoints" / checkpoint.name)
        if (self.run / "best").is_dir():
            _link(self.run / "best", folder / "best")
        return Push(folder, state_branch(self.branch), f"Training state at {checkpoint.name}", ("*",))

    def _new(self, name: str) -> Path:
        self.made += 1
        folder = self.run / FOLDER / f"{name}-{self.made}"
        folder.mkdir(parents=True)
        return folder


def clear(run: Path) -> None:
    """Remove what `Folders` made in a run folder, and nothing else that is called so."""
    for folder in (*(run / FOLDER).glob("model-????????-*"), *(run / FOLDER).glob(f"{STATE_BRANCH}-????????-*")):
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # where something else lies there, or nothing
        (run / FOLDER).rmdir()


def newest_samples(folder: Path) -> list[str]:
    """Names, without ending, of the sentences that were spoken last, with their pictures."""
    names = sorted(path.stem for path in folder.glob("step-*.wav") if path.with_suffix(".png").is_file())
    if not names:
        return []
    newest = "-".join(names[-1].split("-")[:2])
    return [name for name in names if name.startswith(f"{newest}-")][:MOST_SAMPLES]


def _link(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=_link_or_copy, dirs_exist_ok=True)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a filesystem without hard links
        shutil.copyfile(source, target)
