"""Everything of a run that a checkpoint keeps beside tensors and random states, as JSON."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from transformers.trainer_callback import CallbackHandler, ExportableState

from data_pipeline.errors import UserError, redacted
from data_pipeline.plan import Cursor
from data_pipeline.text import Vocabulary
from training.config import RunConfig, get

if TYPE_CHECKING:
    from training.loop import Trainer

# Fields of the trainer's state that are this process' own.
OWN = {"is_world_process_zero", "is_local_process_zero", "logging_steps", "save_steps", "eval_steps"}


def to_json(trainer: "Trainer") -> dict:
    return {
        "cursor": asdict(trainer.cursor),
        "length": trainer.length.to_json(trainer.state.max_steps),
        "evaluations_due": trainer.evaluations_due,
        "padding": [trainer.waste.padded, trainer.waste.batches],
        "step": trainer.take_step.to_json(),
        "best_by": trainer.arguments.metric_for_best_model,
        "trainer": asdict(trainer.state),
        "callbacks": callback_states(trainer),
        "voices": trainer.raw_model.config.voices,
        "config": redacted(trainer.config.to_dict()),
    }


def go_on(trainer: "Trainer", checkpoint: Path) -> None:
    """Take over weights, optimizer and all that `to_json` wrote. Raises UserError where they are of another run."""
    saved = trainer.checkpoints.training_state(checkpoint)
    if saved["config"]["data"]["text_units"] == "phonemes":  # which were espeak-ng's in checkpoints of before
        vocabulary = Vocabulary.from_json((checkpoint / "vocabulary.json").read_text(encoding="utf-8"))
        saved["config"]["data"]["text_units"] = vocabulary.units
    _check(trainer.config, saved["config"])
    trainer.files.load(checkpoint)
    _restore(trainer, saved)


def _check(config: RunConfig, before: dict) -> None:
    """Raises UserError where a run's checkpoint, of the configuration `before`, heard or read its data otherwise, has
    other weights, or did not start from the same model."""
    for key in ("audio.preset", "data.text_units", "fine_tune.lora_rank"):
        section, name = key.split(".")
        was, now = before.get(section, {}).get(name), get(config, key)
        if was != now:
            raise UserError(
                f"The run in {config.checkpoint.dir} was trained with {key}={was}, and this command says "
                f"{now}; give --set {key}={was}, or another --checkpoint-dir."
            )
    was, now = before.get("fine_tune", {}).get("init_from"), redacted(config.fine_tune.init_from)
    if was != now and (None in (was, now) or Path(was).resolve() != Path(now).resolve()):
        did, does = (f"started from {start}" if start else "started from no other model" for start in (was, now))
        raise UserError(
            f"The run in {config.checkpoint.dir} {did}, and this command {does.replace('started', 'starts')}; "
            f"{f'give --init-from {was}' if was else 'leave --init-from out'} to go on with it, or give another "
            "--checkpoint-dir."
        )


def _restore(trainer: "Trainer", saved: dict) -> None:
    trainer.cursor = Cursor(**saved["cursor"])
    trainer.length.restore(saved["length"])
    trainer.evaluations_due = saved["evaluations_due"]
    trainer.waste.padded, trainer.waste.batches = saved["padding"]
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
