"""train_main.py of whose two ranks one ends early:  dying_ranks.py killed|failed RANK STEP [train_main's arguments]

killed: SIGKILL at the end of a step, while the other goes on. failed: a mistake of the user's that only it sees. With
step 0 it does not happen.
"""

import os
import signal
import sys

from transformers import TrainerCallback

import train_main
from data_pipeline.errors import UserError
from training.distributed.leave import leave


class Die(TrainerCallback):
    def __init__(self, how: str, rank: str, step: int):
        self.how, self.rank, self.step = how, rank, step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step and os.environ["RANK"] == self.rank:
            if self.how == "failed":
                raise UserError(f"Only rank {self.rank} sees this.")
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    assert os.environ["WORLD_SIZE"] == "2"
    leave(train_main.main(sys.argv[4:], callbacks=[Die(sys.argv[1], sys.argv[2], int(sys.argv[3]))]))
