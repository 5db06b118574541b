"""What a figure was measured on: machine, commit, day, load, packages. No names of hosts or people, no paths."""

import configparser
import importlib.metadata
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness.places import ROOT

DIRTY = " with uncommitted changes"
# What benchmarks write themselves, and nothing that is measured reads: no figure depends on it.
WRITTEN = ("benchmarks/results", "docs", "README.md", "MODEL_IMPROVEMENTS_SUMMARY.md", "assets/samples")


def machine() -> str:
    """Processor, cores and memory."""
    import torch

    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        named = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        cpu = named[1].strip() if named else cpu
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cpu}, {cores} core{'s'[: cores - 1]}, {memory_gb:.0f} GB{gpu}"


def commit(root: Path = ROOT) -> str:
    """Of a checkout; followed by DIRTY where tracked files differ from it, those of WRITTEN aside."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=root, text=True, capture_output=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    found = git("rev-parse", "HEAD")
    aside = [f":(exclude){name}" for name in WRITTEN]
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", *aside)
    return (found or "unknown") + (DIRTY if found and changed else "")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def load() -> float | None:
    """Processes that wanted a processor in the last minute, on average; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def installed() -> dict:
    """What this environment has of setup.cfg: the extras that are whole, its Python, each package's release."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    named = {extra: requirements(lines) for extra, lines in config["options.extras_require"].items()}
    core = requirements(config["options"]["install_requires"])
    found = versions(*core, *(name for each in named.values() for name in each))
    python = found.pop("python")
    whole = sorted(extra for extra, names in named.items() if found.keys() >= set(names))
    return {"command": None, "extras": whole, "python": python, "freeze": [f"{n}=={v}" for n, v in found.items()]}


def requirements(lines: str) -> list[str]:
    """The packages that an option of setup.cfg names, one a line, comments aside."""
    return [re.match(r"[\w.-]+", line)[0] for line in lines.split("\n") if line and not line.startswith("#")]


def origin() -> dict:
    """What every result says of itself."""
    return {"machine": machine(), "date": now(), "commit": commit(), "installed": installed()}


def is_clean(result) -> bool:
    """Whether nothing in a result was measured with uncommitted changes."""
    if isinstance(result, dict):
        return all(map(is_clean, result.values()))
    if isinstance(result, list):
        return all(map(is_clean, result))
    return not (isinstance(result, str) and result.endswith(DIRTY))


def versions(*packages: str) -> dict[str, str]:
    """Of this environment's packages, those that are installed; and its Python's."""
    found = {"python": platform.python_version()}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
