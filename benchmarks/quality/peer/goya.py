"""level/watched.py, called as it is, whose --max-minutes are of its own processor time.

So a run beside other work is as long, and its schedule as far, as on an idle machine. Its loader has to work in the
same process (--num-workers 0) for all of its time to be counted.
"""

import sys
import time
from types import SimpleNamespace
from unittest import mock

import training.loop.length
from benchmarks.quality.level import watched
from training.distributed.leave import leave


def main(folder: str, *argv: str) -> int:
    with mock.patch.object(training.loop.length, "time", SimpleNamespace(monotonic=time.process_time)):
        return watched.main(folder, *argv)


if __name__ == "__main__":
    leave(main(*sys.argv[1:]))
