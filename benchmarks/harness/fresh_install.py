"""A fresh clone, installed into a fresh virtual environment by its own README's first command: what a stranger has.

FOLDER/clone/           of what is committed here
FOLDER/venv/            what the command's pip part installed, and nothing else
FOLDER/installed.json   what that was; written last, so that what is there is whole
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.harness.command_line import read_json, write_json
from benchmarks.harness.places import ROOT
from benchmarks.harness.provenance import DIRTY, commit, now, origin
from data_pipeline.errors import UserError


def first_command(readme: str) -> tuple[str, str]:
    """(what installs, what trains) of a README's first block of commands: `pip install ... && accelerate ...`.

    Raises UserError where it is no such command.
    """
    fence = re.search(r"^```bash\n(.+?)^```", readme, re.MULTILINE | re.DOTALL)
    install, _, train = (fence[1] if fence else "").replace("\\\n", " ").partition("&&")
    if not install.startswith("pip install ") or not train.strip().startswith("accelerate launch "):
        raise UserError(
            "README.md's first block of commands was expected to be `pip install ... && accelerate launch ...`; "
            f"found: {fence[1].strip() if fence else 'none'}"
        )
    return " ".join(install.split()), " ".join(train.split())


def extras(install: str) -> list[str]:
    """That a pip command names: those in the brackets of `.[eval,web]`."""
    named = re.search(r"\.\[([^\]]*)\]", install)
    return sorted(word.strip() for word in named[1].split(",")) if named else []


class FreshInstall:
    """The installation in `folder`: made where there is none, else taken as it is, with the commit that it was made of.

    Attributes:
        record: what installed.json says: command, extras, python, freeze, seconds, commit, date; train: the command
            that the clone's README trains with.
    """

    def __init__(self, folder: Path, allow_dirty: bool = False):
        self.folder = folder.resolve()
        self.clone, self.venv = self.folder / "clone", self.folder / "venv"
        record = self.folder / "installed.json"
        if not record.is_file():
            write_json(self._make(allow_dirty), record)
        self.record = read_json(record)
        print(f"Installed in {self.folder}: {self.record['command']}, of commit {self.record['commit']}", flush=True)

    def environment(self) -> dict[str, str]:
        """Of a shell in which the virtual environment is active."""
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        programs = os.pathsep.join([str(self.venv / "bin"), os.environ["PATH"]])
        return kept | {"VIRTUAL_ENV": str(self.venv), "PATH": programs}

    def origin(self) -> dict:
        """`provenance.origin` of what runs in it: this machine, this moment, and what is installed in it."""
        installed = {name: value for name, value in self.record.items() if name != "train"}
        return origin() | {"commit": self.record["commit"], "installed": installed}

    def _make(self, allow_dirty: bool) -> dict:
        """Raises UserError where something is not committed (unless allowed) or a command fails."""
        found = commit()
        if DIRTY in found and not allow_dirty:
            raise UserError(
                "There are uncommitted changes, which a clone does not have: commit them, or give --allow-dirty to "
                "measure the commit before them."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        for old in (self.clone, self.venv):
            shutil.rmtree(old, ignore_errors=True)
        self._run("git", "clone", "--quiet", str(ROOT), str(self.clone))
        self._run(sys.executable, "-m", "venv", str(self.venv))
        install, train = first_command((self.clone / "README.md").read_text(encoding="utf-8"))
        started = time.monotonic()
        self._run("bash", "-c", install)
        seconds = time.monotonic() - started
        return {
            "command": install,
            "train": train,
            "extras": extras(install),
            "python": self._run("python", "-c", "import platform; print(platform.python_version())").strip(),
            "freeze": self._run("pip", "freeze", "--exclude-editable").split("\n")[:-1],
            "seconds": seconds,
            "commit": found,
            "date": now(),
        }

    def _run(self, *command: str) -> str:
        """What it prints, run in the clone once there is one."""
        print("$ " + " ".join(command), flush=True)
        where = self.clone if self.clone.is_dir() else self.folder
        done = subprocess.run(command, cwd=where, env=self.environment(), text=True, capture_output=True)
        if done.returncode:
            raise UserError(f"{' '.join(command)} ended with exit code {done.returncode}:\n{done.stderr[-3000:]}")
        return done.stdout
