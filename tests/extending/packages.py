"""Packages of others for tests: the one of docs/extending.md, installed by pip, and broken ones, as pip leaves them."""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from data_pipeline import plugins
from testing import small_runs

EXAMPLE = Path(__file__).parent / "package"


@cache
def example() -> Path:
    """The folder into which pip has installed it, once a session."""
    source, target = small_runs.folder() / "package", small_runs.folder() / "site-packages"
    shutil.copytree(EXAMPLE, source)  # which the build writes to
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True)
    return target


def write_package(folder: Path, name: str, group: str, points: dict[str, str], code: str = "") -> None:
    """A distribution `name` in `folder`, whose one module has the code."""
    module = name.replace("-", "_")
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = [f"[{group}]", *(f"{point} = {module}:{attribute}" for point, attribute in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed in `folder` is found in this process, for the length of a test."""
    monkeypatch.syspath_prepend(folder)
    plugins._of_group.cache_clear()
    monkeypatch.setattr(plugins, "_of_group", plugins._of_group.__wrapped__)
