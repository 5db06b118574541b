"""Debian's packages, downloaded into a folder, as the recordings that they hold."""

import subprocess
from pathlib import Path

from data_pipeline.errors import UserError


def unpack(debs: Path, package: str, out: Path) -> None:
    """What a package installs, below `out`. Raises UserError where the folder holds none of it, or several."""
    found = sorted(debs.glob(f"{package}_*.deb"))
    if len(found) != 1:
        raise UserError(
            f"{debs} holds {len(found)} files {package}_*.deb, expected 1: in that folder, apt-get download {package}"
        )
    subprocess.run(["dpkg-deb", "-x", str(found[0]), str(out)], check=True)
