"""A forked process of a harness: what it prints goes to a file, and no more than a limit is waited for it. Linux only.

Forking is safe where the parent has one thread: it only imports, and whatever computes is done in a child.
"""

import ctypes
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path

LONGEST_S = 300.0  # of a child; a run that takes longer hangs
PR_SET_PDEATHSIG = 1
CRASHED = 70  # exit code of a child that raised (EX_SOFTWARE)


class Child:
    """A forked process that runs `function` in a process group of its own and exits with the code it returns.

    Args:
        log: what the child prints is appended to it.
    """

    def __init__(self, function, log: Path):
        sys.stdout.flush()
        sys.stderr.flush()
        self.started, parent = time.monotonic(), os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            _be_the_child(function, log, parent)
        self.handle = os.pidfd_open(self.pid)

    def ended_within(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self.handle, select.POLLIN)
        return bool(poll.poll(1000 * max(0.0, seconds)))

    def send(self, number: int) -> None:
        """A signal to the child and its loading processes, as clusters and shells send it."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # it has not come to os.setsid yet, or has just ended
            signal.pidfd_send_signal(self.handle, number)

    def wait(self, longest_s: float = LONGEST_S) -> int:
        """Its exit code, negative for a signal, as subprocess has it. Raises TimeoutError after `longest_s`."""
        hangs = not self.ended_within(self.started + longest_s - time.monotonic())
        if hangs:
            self.send(signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.handle)
        if hangs:
            raise TimeoutError(f"process {self.pid} ran for more than {longest_s:.0f} s")
        return code


def call(function, log: Path) -> int:
    """`function` in a child; its exit code."""
    return Child(function, log).wait()


def _be_the_child(function, log: Path, parent: int) -> None:
    code = CRASHED
    try:  # nothing may get out of here: it would go on as a second harness
        os.setsid()
        _end_with(parent)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = function()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _end_with(parent: int) -> None:
    """The harness may be killed too; a run that lives on would write beside the next one."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(CRASHED)
