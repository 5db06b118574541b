"""A process that a launcher started does not outlive it: an orphan would train on, unseen, on a machine given back."""

import ctypes
import os
import re
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
LAUNCHER = re.compile(rb"(^|/)(accelerate|torchrun)$|^(accelerate\.commands|torch\.distributed)\.|/torch/distributed/")


def end_with_launcher() -> None:
    """SIGTERM when accelerate launch or torchrun ends, however that comes; the run then saves and ends. Linux only.

    Not for other parents: a shell that started a run in the background may end.
    """
    parent = os.getppid()
    if sys.platform != "linux" or not _is_launcher(parent):
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it ended meanwhile
        os.kill(os.getpid(), signal.SIGTERM)


def _is_launcher(process: int) -> bool:
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(LAUNCHER.search(word) for word in words[:4])
