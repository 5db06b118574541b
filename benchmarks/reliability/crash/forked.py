"""Processes forked from one that has imported everything: a run of train_main.py starts in a second, not in ten.

The parent only imports. It runs no operation of torch or pyarrow, so it has one thread, which is what makes forking
it safe; whatever computes is done in a child, with `call`. Linux only.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")  # before what reads them

import torch  # noqa: E402

torch.set_num_threads(1)

# What train_main imports in its functions, so that no child has to.
import callbacks.default  # noqa: E402, F401
import evaluation.quality  # noqa: E402, F401
import train_main  # noqa: E402, F401
import training.loop.report  # noqa: E402, F401
import training.setup.building  # noqa: E402, F401
from benchmarks.reliability.crash.child import Child, call  # noqa: E402, F401
