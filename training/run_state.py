"""Everything of a run that a checkpoint keeps beside tensors and random states, as JSON."""

from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from transformers.trainer_callback import CallbackHandler, ExportableState

from data_pipeline.errors import UserError, redacted
from data_pipeline.plan import Cursor
from training.config import get

if TYPE_CHECKING:
    from training.loop import Trainer

# Fields of the trainer's state that are this process' own.
OWN = {"is_world_process_zero", "is_local_process_zero", "logging_steps", "save_steps", "eval_steps"}


def to_json(trainer: "Trainer") -> dict:
    return {
        "cursor": asdict(trainer.cursor),
        "length": trainer.length.to_json(),
        "evaluations_due": trainer.evaluations_due,
        "padding": trainer.padding,
        "step": trainer.take_step.to_json(),
        "best_by": trainer.arguments.metric_for_best_model,
        "trainer": asdict(trainer.state),
        "callbacks": callback_states(trainer),
        "voices": trainer.raw_model.config.voices,
        "config": redacted(trainer.config.to_dict()),
    }


def restore(trainer: "Trainer", saved: dict) -> None:
    """Take over everything `to_json` wrote. Raises UserError where the run heard or read its data otherwise."""
    for key in ("audio.preset", "data.text_units"):
        section, name = key.split(".")
        before, now = saved["config"][section].get(name), get(trainer.config, key)
        if before != now:
            raise UserError(
                f"The run in {trainer.config.checkpoint.dir} was trained with {key}={before}, and this command says "
                f"{now}; give --set {key}={before}, or another --checkpoint-dir."
            )
    trainer.cursor = Cursor(**saved["cursor"])
    trainer.length.restore(saved["length"])
    trainer.evaluations_due, trainer.padding = saved["evaluations_due"], saved["padding"]
    trainer.take_step.restore(saved["step"])
    for field in fields(trainer.state):
        if field.name in saved["trainer"] and field.name not in OWN:
            setattr(trainer.state, field.name, saved["trainer"][field.name])
    if saved.get("best_by", "eval_mel") != trainer.arguments.metric_for_best_model:
        # Values of two metrics do not compare; the next evaluation begins anew.
        trainer.state.best_metric = trainer.state.best_global_step = None
    for callback in _exportable(trainer.callbacks):
        kept = saved["callbacks"].get(type(callback).__name__, {})
        # Only what the callback itself would save: a stranger's checkpoint must not set anything else.
        for name in callback.state()["attributes"].keys() & kept.keys():
            setattr(callback, name, kept[name])
    trainer.raw_model.config.voices = saved["voices"]


def callback_states(trainer: "Trainer") -> dict[str, dict]:
    return {type(one).__name__: one.state()["attributes"] for one in _exportable(trainer.callbacks)}


def _exportable(callbacks: CallbackHandler) -> list[ExportableState]:
    """The callbacks with a state to keep."""
    return [callback for callback in callbacks.callbacks if isinstance(callback, ExportableState)]
