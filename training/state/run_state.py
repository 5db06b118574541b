"""Everything of a run that a checkpoint keeps beside tensors and random states, as JSON."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Protocol

from accelerate import Accelerator
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import gather_object
from transformers import TrainerState
from transformers.trainer_callback import CallbackHandler

from data_pipeline.batching.cursor import Cursor
from data_pipeline.errors import redacted
from data_pipeline.text.tokens import Vocabulary
from inference.safe_folder import read_json
from modeling.model import GoyaForTextToSpeech
from training.config.fields import Provenance, RunConfig
from training.loop.control import CallbackArguments
from training.loop.efficiency import EfficiencyMeter
from training.loop.length import RunLength
from training.loop.out_of_memory import AutoMicrobatch
from training.setup import optimizer
from training.setup.inputs import Inputs
from training.state import continuity
from training.state.callback_states import absent, callback_states, check_states, restore_states
from training.state.checkpoint import CheckpointFolder
from training.state.saved_state import check_like, check_voices, reading
from training.state.state_files import StateFiles

# Fields of the trainer's state that are this process' own.
OWN = {"is_world_process_zero", "is_local_process_zero", "logging_steps", "save_steps", "eval_steps"}

LOST = "this command does not give it (--callback), so it is not called, and what it kept is left behind"


class Run(Protocol):
    """What is kept of a training loop, and what it takes to go on (training.loop.trainer.Trainer)."""

    config: RunConfig
    provenance: Provenance
    accelerator: Accelerator
    inputs: Inputs
    checkpoints: CheckpointFolder
    files: StateFiles
    raw_model: GoyaForTextToSpeech
    optimizer: AcceleratedOptimizer
    arguments: CallbackArguments
    callbacks: CallbackHandler
    state: TrainerState
    accumulate_gradients: AutoMicrobatch
    efficiency: EfficiencyMeter
    length: RunLength
    cursor: Cursor
    of_run: dict
    evaluations_due: int
    owes_evaluation: bool
    proven: int


def to_json(trainer: Run) -> dict:
    return {
        "cursor": asdict(trainer.cursor),
        "taken": trainer.inputs.train.plan.taken.to_json(),
        "rows": _rows(trainer),
        "of_run": trainer.of_run,
        "length": trainer.length.to_json(trainer.state.max_steps),
        "evaluations_due": trainer.evaluations_due,
        "owes_evaluation": trainer.owes_evaluation,
        "padding": [trainer.efficiency.padded, trainer.efficiency.batches],
        "step": trainer.accumulate_gradients.to_json(),
        "best_by": trainer.arguments.metric_for_best_model,
        "trainer": asdict(trainer.state),
        "callbacks": callback_states(trainer.callbacks),
        "voices": trainer.raw_model.config.voices,
        "config": redacted(trainer.config.to_dict()),
    }


def _rows(trainer: Run) -> dict:
    """Of the corpus, as all ranks have read it. Call it on every rank."""
    stats_by_epoch = trainer.inputs.train.plan.stats_by_epoch
    return stats_by_epoch.to_json(trainer.cursor, gather_object([(stats_by_epoch.whole, stats_by_epoch.undecoded)]))


def resume(trainer: Run, checkpoint: Path) -> None:
    """Take over weights, optimizer and all that `to_json` wrote, and say what has changed since.

    Raises UserError where they are of another run.
    """
    saved = trainer.checkpoints.training_state(checkpoint)
    check_state(trainer, saved, checkpoint)
    with reading(checkpoint):
        if saved["config"]["data"]["text_units"] == "phonemes":  # which were espeak-ng's in checkpoints of before
            vocabulary = Vocabulary.from_document(read_json(checkpoint, "vocabulary.json"))
            saved["config"]["data"]["text_units"] = vocabulary.units
        changes = continuity.changes_since(
            saved, trainer.config, trainer.provenance, trainer.of_run, trainer.inputs, trainer.accelerator
        )
    trainer.files.load(checkpoint)
    with reading(checkpoint):
        before = saved["config"].get("optim", {})
        optimizer.use_what_changed(trainer.optimizer.param_groups, trainer.config.optim, before)
        _restore(trainer, saved)
        restore_states(saved["callbacks"], trainer.callbacks, checkpoint)
        lost = changes.lost_callbacks or absent(saved["callbacks"], trainer.callbacks)
    said = [*changes.said, *(f"callback {one}: {LOST}" for one in lost)]
    if said:
        listed = "\n  ".join(said)
        trainer.accelerator.print(f"Since the checkpoint of step {trainer.state.global_step}, used as now:\n  {listed}")
    if changes.shaping:
        _plan_anew(trainer, "taken" in saved)


def check_state(trainer: Run, saved: dict, checkpoint: Path) -> None:
    """Raises UserError where `saved` is not of the kind that `to_json` writes (training.state.saved_state)."""
    own = to_json(trainer)
    free = {"callbacks": {}, "voices": {}, "config": {}, "of_run": None, "taken": None, "rows": None}
    own["trainer"] = {name: value for name, value in own["trainer"].items() if name not in OWN}
    check_like(saved, own | free, checkpoint)
    with reading(checkpoint):
        check_states(saved["callbacks"], own["callbacks"], checkpoint)
        check_voices(saved["voices"], trainer.raw_model.config.voice_size, checkpoint)


def _plan_anew(trainer: Run, is_known: bool) -> None:
    """The epoch under way in batches as they are cut now, without the rows that are known to be trained on."""
    plan = trainer.inputs.train.plan
    trainer.cursor = plan.begin_anew(trainer.cursor.epoch)
    if len(plan.taken):
        said = f"The {len(plan.taken)} rows that epoch {trainer.cursor.epoch + 1} has trained on are not repeated."
    elif not is_known:
        said = f"Epoch {trainer.cursor.epoch + 1} begins again: its checkpoint, of an earlier version, lists no rows."
    else:
        return
    trainer.accelerator.print(said)


def _restore(trainer: Run, saved: dict) -> None:
    trainer.cursor = Cursor(**saved["cursor"])
    trainer.proven = saved["trainer"]["global_step"] - 1  # those before it, until an update shows that it is good
    if "taken" in saved:
        trainer.inputs.train.plan.taken.restore(saved["taken"])
    if "rows" in saved:
        is_first = trainer.accelerator.is_main_process
        trainer.inputs.train.plan.stats_by_epoch.restore(saved["rows"], trainer.cursor.epoch, is_first)
    trainer.length.restore(saved["length"])
    trainer.evaluations_due = saved["evaluations_due"]
    trainer.owes_evaluation = saved.get("owes_evaluation", False)
    trainer.efficiency.padded, trainer.efficiency.batches = saved["padding"]
    trainer.accumulate_gradients.restore(saved["step"])
    for field in fields(trainer.state):
        if field.name in saved["trainer"] and field.name not in OWN:
            setattr(trainer.state, field.name, saved["trainer"][field.name])
    other_data = saved["config"].get("data", {}).get("val_data") != redacted(trainer.config.data.val_data)
    if other_data or saved.get("best_by", "eval_mel") != trainer.arguments.metric_for_best_model:
        # Values of two metrics, or of other sentences, do not compare; the next evaluation begins anew.
        trainer.state.best_metric = trainer.state.best_global_step = None
    trainer.raw_model.config.voices = saved["voices"]
