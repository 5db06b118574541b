"""Whose a folder is: a run's own, which one process at a time may write and move aside, or somebody's that stays."""

import errno
import json
import os
from pathlib import Path

from accelerate import Accelerator

from data_pipeline.errors import UserError
from training.config.fields import Provenance, RunConfig, is_user_set
from training.distributed.collectives import first_failure

try:
    import fcntl
except ImportError:  # Windows, where two runs in one folder are not told apart
    fcntl = None

MARKER, LOCK = "goya_run.json", "run.lock"
# What a run makes; a folder of an earlier version, without the marker, holds nothing else.
REPLACED = ("best", "checkpoints", "hub")
OWN = {*REPLACED, "samples", "logs", "report.json", "data_check", "best.partial", "best.replaced", MARKER, LOCK}
OWN |= {f"{MARKER}.partial", "report.json.partial"}


class RunFolder:
    """The folder of one run. `check` comes before anything is written or moved there, `take` after; on every rank.

    The lock is the kernel's: a process that was killed holds none.
    """

    def __init__(self, config: RunConfig, provenance: Provenance, accelerator: Accelerator):
        self.config, self.accelerator = config, accelerator
        self.root = Path(config.checkpoint.dir)
        self.resets = config.checkpoint.reset
        self.user_resets = self.resets and is_user_set(provenance, "checkpoint.reset")
        self.file = None

    def check(self) -> None:
        """Raises UserError where another process trains in the folder, or it is not a run's and would be harmed."""
        self._on_main(self._check)

    def take(self) -> None:
        """Mark the folder as a run's, which it now is. Raises UserError as `check` does."""
        self._on_main(self._take)

    def _on_main(self, part) -> None:
        failure = None
        if self.accelerator.is_main_process:
            try:
                part()
            except UserError as error:
                self.release()
                failure = str(error)
        failure = first_failure(self.accelerator, failure)
        if failure is not None:
            raise UserError(failure)

    def _check(self) -> None:
        try:
            if not self.root.is_dir() or not any(self.root.iterdir()):
                return
        except OSError as error:
            raise UserError(f"The run folder {self.root} cannot be read ({error.strerror or error}).") from error
        if not is_run_folder(self.root):
            self._check_stranger()
            return
        self._lock()
        if self.resets:
            self._check_movable()

    def release(self) -> None:
        """The lock goes with the file, and with any other that is open of it in this process."""
        if self.file is not None:
            self.file.close()
        self.file = None

    def _take(self) -> None:
        if self.resets:
            self.release()  # that of the folder which was moved aside
        if self.file is None:
            self._lock()
        marker = json.dumps({"what": "a run of Goya", "debug": self.config.train.debug})
        try:
            write_anew(self.root / MARKER, marker + "\n")
        except OSError as error:
            raise UserError(f"The run folder {self.root} cannot be written to ({error.strerror or error}).") from error

    def _check_stranger(self) -> None:
        here = [name for name in REPLACED if (self.root / name).exists()]
        if self.resets:
            raise UserError(
                f"{self.root} is no run folder, so it is not moved aside. Give another --checkpoint-dir, or leave out "
                "what starts over (--reset-training, --debug)."
            )
        if here:
            raise UserError(
                f"{self.root} holds {', '.join(here)}, which no run of Goya made and a run would replace. Give another "
                "--checkpoint-dir."
            )

    def _check_movable(self) -> None:
        """A run folder is moved as a whole, and with it whatever else lies in it."""
        config, root = self.config, self.root.resolve()
        places = {"the folder that this command runs in": Path.cwd(), "a git repository": None}
        corpora = filter(None, (config.data.train_data, config.data.val_data))
        places |= {f"the corpus {where}": Path(where) for where in corpora}
        for what, place in places.items():
            is_inside = (root / ".git").exists() if place is None else _is_inside(place, root)
            if is_inside:
                raise UserError(
                    f"{self.root} holds {what}, so it is not moved aside. Give another --checkpoint-dir, or leave out "
                    "what starts over (--reset-training, --debug)."
                )
        if not self.user_resets and not is_debug_run(self.root):
            raise UserError(
                f"{self.root} holds a run that was no --debug run, which --debug would move aside. Give another "
                "--checkpoint-dir, or --reset-training too."
            )

    def _lock(self) -> None:
        """Raises UserError where another process has it."""
        if fcntl is None:
            return
        path = self.root / LOCK
        is_plain = path.is_file() or path.is_dir()  # a folder hinders the lock, and no more
        if path.is_symlink() or (path.exists() and not is_plain):  # it would be waited for, or written over
            raise UserError(
                f"{path} is no regular file, as a run makes it. Remove it, or give another --checkpoint-dir."
            )
        try:
            file = path.open("a+", encoding="utf-8")
        except OSError:
            return  # a folder that cannot be written is told when it is written
        try:
            # Not flock, which loading processes would inherit, and keep for a moment after their parent was killed.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                file.seek(0)
                raise UserError(
                    f"Another process trains in {self.root} (process {file.read().strip() or 'unknown'}). Wait for it "
                    "or end it, or give another --checkpoint-dir."
                ) from None
            print(f"{self.root} cannot be locked ({error}): see that no second run writes there.", flush=True)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self.file = file


def write_anew(path: Path, text: str) -> None:
    """A file in the place of what is there, which in a stranger's run can be a link to a file of somebody, or a pipe.

    A name of a file that is not UTF-8 is written in escapes. Raises OSError.
    """
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    partial.write_text(text, encoding="utf-8", errors="backslashreplace")
    os.replace(partial, path)


def is_run_folder(root: Path) -> bool:
    if (root / MARKER).is_file() or any(root.glob("checkpoints/step-*/training_state.json")):
        return True
    return {path.name for path in root.iterdir()} <= OWN


def is_debug_run(root: Path) -> bool:
    """Whether nothing is lost with a run; one of an earlier version tells it in its checkpoints."""
    try:
        if (root / MARKER).is_file():
            return bool(json.loads((root / MARKER).read_text(encoding="utf-8"))["debug"])
        newest = max(root.glob("checkpoints/step-*/training_state.json"), default=None)
        if newest is not None:
            return bool(json.loads(newest.read_text(encoding="utf-8"))["config"]["train"]["debug"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return not (root / "best").exists()


def _is_inside(place: Path, root: Path) -> bool:
    return os.path.exists(place) and place.resolve().is_relative_to(root)
