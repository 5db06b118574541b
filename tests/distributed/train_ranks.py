"""train_main.py on two ranks, run by test_train.py; fails where it is not two."""

import sys

from accelerate.state import PartialState

import train_main
from training.distributed.leave import leave

if __name__ == "__main__":
    code = train_main.main(sys.argv[1:])
    assert PartialState().num_processes == 2
    leave(code)
