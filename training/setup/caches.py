"""Where libraries keep files between runs: the user's own place, or, where that cannot be written, one for this run."""

import os
import sys
import tempfile
from pathlib import Path

# Variable -> folder below the Hugging Face home. Not the Hub's own cache: it may well be there to be read only.
OF_DATASETS = {"HF_DATASETS_CACHE": "datasets", "HF_MODULES_CACHE": "modules"}


def ensure_caches() -> None:
    """Call it before `datasets` is imported: it makes its folder even for a corpus of this computer."""
    general = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    home = Path(os.path.expanduser(os.environ.get("HF_HOME") or Path(general) / "huggingface"))
    unusable = {}
    for variable, name in OF_DATASETS.items():
        folder = Path(os.path.expanduser(os.environ.get(variable) or home / name))
        if not _can_write(folder):
            unusable[variable] = folder
    if not unusable:
        return
    instead = tempfile.mkdtemp(prefix="goya-cache-")
    for variable in unusable:
        os.environ[variable] = str(Path(instead) / OF_DATASETS[variable])
    print(
        f"{next(iter(unusable.values()))} cannot be written, so what `datasets` keeps goes to {instead}. Set HF_HOME "
        "to a folder that can be written.",
        file=sys.stderr,
        flush=True,
    )


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
