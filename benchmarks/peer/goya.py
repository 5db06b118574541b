"""level/watched.py, whose --max-minutes are of its own processor time:  goya.py FOLDER [train_main's arguments]

So a run beside other work is as long, and its schedule as far, as on an idle machine. Its loader has to work in the
same process (--num-workers 0) for all of its time to be counted.
"""

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # a script's own folder is on the path, its grandparent is not

import training.loop.length  # noqa: E402
from benchmarks.level import watched  # noqa: E402
from training.distributed.leave import leave  # noqa: E402


def main(folder: str, *argv: str) -> int:
    with mock.patch.object(training.loop.length, "time", SimpleNamespace(monotonic=time.process_time)):
        return watched.main(folder, *argv)


if __name__ == "__main__":
    leave(main(*sys.argv[1:]))
