"""Going on from the training state in a repository (--resume-from-hub): its checkpoint becomes one of the run's own."""

import os
import re
import shutil
from pathlib import Path

from huggingface_hub import HfApi

from data_pipeline.errors import UserError
from hub.client import ERRORS, LOG_IN, check_id, is_lasting, reason
from hub.folders import state_branch
from training.config.fields import RunConfig
from training.state.checksums import damage

CHECKPOINT = re.compile(r"checkpoints/(step-\d{8,})/")
PARTIAL = "from_hub.partial"  # in the run folder


def bring_training_state(config: RunConfig) -> str:
    """Download the checkpoint, and the best model, into the run folder; what to tell the user.

    Where the run folder holds one of that step or a later one, nothing is downloaded: the same command goes on from
    there. Raises UserError where the repository has no training state, cannot be read or is damaged, or where the run
    folder cannot be written to.
    """
    repo_id, branch, run = config.hub.resume_from_hub, state_branch(config.hub.branch), Path(config.checkpoint.dir)
    check_id(repo_id, "--resume-from-hub")
    own = sorted(path.name for path in run.glob("checkpoints/step-????????")) if os.path.isdir(run) else []
    api = HfApi()
    try:
        names = api.list_repo_files(repo_id, revision=branch)
        steps = sorted({found[1] for name in names if (found := CHECKPOINT.match(name))})
        if not steps:
            raise UserError(f"The branch {branch} of {repo_id} holds no checkpoint. {_expected()}")
        newest = steps[-1]
        if own and own[-1] >= newest:
            return f"{run} goes on from its own {own[-1]}; the training state in {repo_id} is of {newest}."
        wanted = [f"checkpoints/{newest}/*", "best/*"]
        api.snapshot_download(repo_id, revision=branch, local_dir=run / PARTIAL, allow_patterns=wanted)
        _take_over(run, newest, repo_id)
    except UserError:
        raise
    except ERRORS as error:
        if own and not is_lasting(error):
            return f"The Hub cannot be used now ({reason(error)}); {run} goes on from its own {own[-1]}."
        raise UserError(
            f"No training state could be had from the branch {branch} of {repo_id} ({reason(error)}). {LOG_IN}, where "
            f"it is private. {_expected()}"
        ) from error
    finally:
        shutil.rmtree(run / PARTIAL, ignore_errors=True)
    return f"Goes on from {newest} of {repo_id}."


def _take_over(run: Path, step: str, repo_id: str) -> None:
    here = run / PARTIAL
    harm = damage(here / "checkpoints" / step)
    if harm is not None:
        raise UserError(f"The training state of {repo_id} is damaged: {harm}. Push it again, or leave the flag out.")
    (run / "checkpoints").mkdir(parents=True, exist_ok=True)
    os.replace(here / "checkpoints" / step, run / "checkpoints" / step)
    if (here / "best").is_dir():
        shutil.rmtree(run / "best", ignore_errors=True)  # of an older state, as its checkpoints are
        os.replace(here / "best", run / "best")


def _expected() -> str:
    return "Expected the id of a run that was pushed with --push-to-hub, and its --hub-branch where it had one."
