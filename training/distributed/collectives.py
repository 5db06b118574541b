"""What all ranks settle together, so that none waits for another in vain. Call each function on every rank."""

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object


def first_failure(accelerator: Accelerator, failure: str | None) -> str | None:
    """The message of the lowest rank that has one, or None where no rank has."""
    if accelerator.num_processes == 1:
        return failure
    return next(filter(None, gather_object([failure])), None)


def as_main_has(accelerator: Accelerator, thing):
    """The main rank's thing, of any type that pickles."""
    if accelerator.num_processes == 1:
        return thing
    told = [thing]
    broadcast_object_list(told)
    return told[0]


def as_main_says(accelerator: Accelerator, number: int) -> int:
    """The main rank's number."""
    if accelerator.num_processes == 1:
        return number
    told = torch.tensor([number], device=accelerator.device)
    torch.distributed.broadcast(told, src=0)
    return int(told)
