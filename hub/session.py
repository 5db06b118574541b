"""The Hub's part of a run, from the login to the last push. The main process does it; all hear of its errors."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from accelerate import Accelerator

from data_pipeline.errors import UserError
from hub.client import open_repository, quiet
from hub.folders import clear
from hub.pusher import Pusher, push_command
from hub.resume import bring_training_state
from training.config.fields import RunConfig
from training.distributed.collectives import first_failure
from training.distributed.leave import abandon_threads


@contextmanager
def hub_session(config: RunConfig, accelerator: Accelerator) -> Iterator[Pusher | None]:
    """The pusher, on the main process of a run with --push-to-hub; else None. At the end its last push is waited for.

    Raises UserError, on every rank, for a login or an id that is refused, and for training state that cannot be had.
    """
    hub, pusher = config.hub, None
    quiet()
    if hub.push_to_hub is not None:
        _on_main(accelerator, lambda: open_repository(hub))
    if hub.resume_from_hub is not None:
        _on_main(accelerator, lambda: bring_training_state(config))
    if hub.push_to_hub is not None and accelerator.is_main_process:
        pusher = Pusher(hub.push_to_hub, hub.public, 60 * hub.wait_minutes)
    try:
        yield pusher
    finally:
        if pusher:
            _finish(pusher, Path(config.checkpoint.dir))


def _finish(pusher: Pusher, run: Path) -> None:
    left = pusher.finish()
    if left:
        print(push_command(pusher.repo_id, pusher.public, left), flush=True)
        abandon_threads()
    else:
        clear(run)


def _on_main(accelerator: Accelerator, part: Callable[[], str]) -> None:
    """What `part` says on the main process is printed; its UserError is raised on every rank."""
    failure = None
    if accelerator.is_main_process:
        try:
            print(part(), flush=True)
        except UserError as error:
            failure = str(error)
    failure = first_failure(accelerator, failure)
    if failure is not None:
        raise UserError(failure)
