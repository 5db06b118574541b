"""The next command that a message names, as the user would type it where this one was typed."""

import shlex
import sys
from pathlib import Path

# A script of the checkout -> the console script of an installation.
INSTALLED = {"train_main.py": "goya-train", "synthesize.py": "goya-say", "listen.py": "goya-listen"}
CHECK = "goya-check"


def command(script: str, *words: str, by: str = "python") -> str:
    """A command line that can be pasted: `script` by the name that the user called this program by, and its arguments.

    by: what starts a script of the checkout, such as "accelerate launch".
    """
    called = Path(sys.argv[0])
    if called.stem in (*INSTALLED.values(), CHECK):  # of Windows too, where it ends in .exe
        is_check = script == "train_main.py" and "--check-data" in words
        start = [CHECK] if is_check else [INSTALLED[script]]
        words = tuple(word for word in words if not (is_check and word == "--check-data"))
    else:
        is_ours = called.name in INSTALLED and called.parent != Path(".")
        start = [*by.split(), str(called.with_name(script)) if is_ours else script]
    return shlex.join([*start, *words])
