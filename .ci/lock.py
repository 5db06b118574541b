"""Renews lock.txt: python .ci/lock.py python3.11 python3.12 python3.13        (from the top of the clone)

lock.txt is a file of constraints for pip (-c): one release of everything that setup.cfg and its extras draw, resolved
by pip itself in a bare environment of each Python that is named. Where two Pythons draw different releases, markers
say so. Constraints hold for what is installed only, so one file serves every extra and platform. After it: .ci/run.
"""

import json
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from itertools import pairwise
from pathlib import Path

from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = Path(__file__).with_name("lock.txt")
HEAD = """\
# One release of everything that is installed; the tests pass with these. Written by .ci/lock.py.
#   pip install -c .ci/lock.txt -e .
"""


def extras() -> list[str]:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return list(config["options.extras_require"])


def drawn(python: str, folder: Path) -> tuple[str, dict[str, str]]:
    """The version of a Python ("3.12"), and package -> release of all that it would install, but for ours."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    bare = str(folder / "bin" / "python")
    version = subprocess.check_output([bare, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True)
    report = folder / "report.json"
    pip = [bare, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", str(report)]
    subprocess.run([*pip, "-e", f"{ROOT}[{','.join(extras())}]"], check=True)
    found = [entry["metadata"] for entry in json.loads(report.read_text(encoding="utf-8"))["install"]]
    releases = {canonicalize_name(one["name"]): one["version"].partition("+")[0] for one in found}
    return version.strip(), {name: release for name, release in releases.items() if name != "goya"}


def lines(by_python: dict[str, dict[str, str]]) -> list[str]:
    """Constraints, sorted, of what each Python draws, oldest Python first; a marker only where they differ."""
    written = []
    for name in sorted({name for releases in by_python.values() for name in releases}):
        having = {python: releases[name] for python, releases in by_python.items() if name in releases}
        starts = [next(iter(having))]
        starts += [after for before, after in pairwise(having) if having[before] != having[after]]
        for start, end in zip(starts, [*starts[1:], None], strict=True):
            since = [f'python_version >= "{start}"'] if start != starts[0] else []
            until = [f'python_version < "{end}"'] if end else []
            marker = " and ".join(since + until)
            written.append(f"{name}=={having[start]}" + (f" ; {marker}" if marker else ""))
    return written


def main(pythons: list[str]) -> None:
    by_python = {}
    for python in pythons:
        with tempfile.TemporaryDirectory() as folder:
            version, releases = drawn(python, Path(folder))
            by_python[version] = releases
            print(f"Python {version}: {len(releases)} packages", flush=True)
    LOCK.write_text(HEAD + "\n".join(lines(by_python)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:] or [sys.executable])
