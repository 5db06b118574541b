"""Another process of the run is gone: one message and the way to go on, in place of a traceback.

gloo tells at once: the system closes the connections of a process that ends, and the next exchange raises. NCCL, which
works beside Python, can only end the process itself (its watchdog thread, with SIGABRT and a message of its own) once
it sees a closed connection or has waited as long as training.setup.building says; what it raises here are the errors of
setting up a connection. accelerate launch and torchrun end the others whatever the backend.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from training.config.fields import RunConfig

# RuntimeErrors of gloo's connections begin with the place that raised them. "[enforce fail at", of exchanges that do
# not match, is a mistake in the program.
GLOO = re.compile(r"^\[\S*gloo/transport/\S+\] ")


class LostRank(Exception):
    """An exchange with another process of the run failed, as it does where that one has ended."""


@contextmanager
def telling_of_lost_ranks(config: RunConfig) -> Iterator[None]:
    """Raises LostRank, with a message for the user, in place of the communication backend's errors."""
    import torch  # here, as a mistyped flag is answered before it is loaded

    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.distributed.DistError) and not GLOO.match(str(error)):
            raise
        raise LostRank(_message(error, config)) from error


def _message(error: RuntimeError, config: RunConfig) -> str:
    """Which process says so, what happened as far as it knows, and what to do."""
    first_line = GLOO.sub("", str(error)).splitlines()[0].rstrip(".")
    return (
        f"Rank {os.environ.get('RANK', '0')} lost another process of this run ({first_line}): it has ended, or its "
        "machine cannot be reached. See what it said last; of one that was killed, as for want of memory, the system's "
        f"log tells. {how_to_resume(config)} goes on from the newest checkpoint in "
        f"{config.checkpoint.dir}/checkpoints."
    )


def how_to_resume(config: RunConfig) -> str:
    """The subject of a sentence. A debug run starts over unless it is told to go on, as one that was reset does."""
    if config.train.debug:
        return "The same command with --resume"  # without --debug the model would be of another size
    return "The same command, without --reset-training," if config.checkpoint.reset else "The same command"
