"""The end of a process that other threads keep busy, or are cut off by."""

import atexit
import os
import sys
from contextlib import suppress
from typing import NoReturn

from data_pipeline.batching.stall_watchdog import Stalled

is_abandoned = False  # whether a thread is left to its own, as one is that waits for a server


def abandon_threads() -> None:
    """The end of the process will not wait for them."""
    global is_abandoned
    is_abandoned = True


def leave(code: int) -> NoReturn:
    """sys.exit, past what waits in vain for it.

    A thread that reads from a source that stalled, or pushes to a Hub that does, would keep the process. And gloo's
    threads free the tensors of the last exchange after it is over: where Python shuts down meanwhile, torch 2.11 aborts
    ("terminate called without an active exception"), so that a run that went well ended with SIGABRT, 4 times of 14
    with two ranks on a busy CPU.
    """
    if not (Stalled.happened or is_abandoned):
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            sys.exit(code)
        atexit._run_exitfuncs()  # trackers and loading processes hang on it
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads on
            stream.flush()
    os._exit(code)
