"""Every model that is the best so far, and now and then the training state, to the Hub (--push-to-hub)."""

import json
import time
from pathlib import Path

from transformers import TrainerCallback, TrainerState
from transformers.trainer_callback import ExportableState

from callbacks.quality_eval import QualityEval
from hub.curves import DRAWN, add_point
from hub.facts import RunFacts, data_facts
from hub.folders import Folders
from hub.pusher import Pusher
from training.loop.trainer import Result, Trainer

INTERRUPTED_S = 30.0  # the end of a run that was told to stop waits no longer: a cluster soon kills it


def hub_push(trainer: Trainer, pusher: Pusher | None, others: list[TrainerCallback]) -> list["HubPush"]:
    """The callback of a run that pushes, on the process that does; else none. `others` come before it."""
    quality = next((one for one in others if isinstance(one, QualityEval)), None)
    return [] if pusher is None else [HubPush(trainer, pusher, quality)]


class HubPush(TrainerCallback, ExportableState):
    """For the main process only, and last among the callbacks: it asks the others nothing.

    A step waits for hard links and a card; what takes long is the pusher's. What cannot be written is said and left.

    Args:
        quality: whose figures of speech go into the card, where the run has it.
    """

    def __init__(self, trainer: Trainer, pusher: Pusher, quality: QualityEval | None):
        self.trainer, self.pusher, self.quality = trainer, pusher, quality
        config = trainer.config
        self.run = Path(config.checkpoint.dir)
        self.folders = Folders(self.run, config.hub.push_to_hub, config.hub.branch)
        self.state_every_s = 60 * config.hub.state_every_minutes
        self.state_pushed_at, self.state_pushed = time.monotonic(), None  # the clock's, and the checkpoint
        self.best_pushed: int | None = None  # step
        self.curves: dict[str, list[list[float]]] = {}
        # Step, as JSON has it -> figures: of the best evaluation, and of the latest.
        self.evaluations: dict[str, dict[str, float]] = {}

    def on_train_begin(self, args, state, control, **kwargs):
        self.data = data_facts(self.trainer.config, self.trainer.inputs)
        self.best_pushed = state.best_global_step  # of a run that goes on: it was pushed, or the end pushes it

    def on_log(self, args, state, control, logs=None, **kwargs):
        for name in DRAWN & logs.keys():
            add_point(self.curves.setdefault(name, []), state.global_step, logs[name])

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        figures = {name: value for name, value in metrics.items() if isinstance(value, float)}
        if self.quality is not None and self.quality.judged_at == state.global_step:
            figures |= self.quality.figures
        best = str(state.best_global_step)
        kept = {best: self.evaluations[best]} if best in self.evaluations else {}
        self.evaluations = kept | {str(state.global_step): figures | {"step": state.global_step}}

    def on_step_begin(self, args, state, control, **kwargs):
        # best/ is written after the evaluation's own event, so that this is the first one to see it.
        if state.best_global_step != self.best_pushed:
            self.best_pushed = state.best_global_step
            self._push_model(state)

    def on_save(self, args, state, control, checkpoint=None, **kwargs):
        if time.monotonic() - self.state_pushed_at >= self.state_every_s:
            self._push_state(checkpoint)

    def finish(self, result: Result) -> None:
        """Push the last checkpoint, and the model with a card of the whole run, once report.json is written."""
        report = json.loads((self.run / "report.json").read_text(encoding="utf-8"))
        newest = self.trainer.checkpoints.newest()
        if result.interrupted:
            self.pusher.patience_s = min(self.pusher.patience_s, INTERRUPTED_S)
        if (self.run / "best").is_dir():
            self._push_model(self.trainer.state, report)
        if newest is not None and newest != self.state_pushed:
            self._push_state(newest)

    def _push_model(self, state: TrainerState, report: dict | None = None) -> None:
        trainer, best = self.trainer, str(state.best_global_step)
        facts = RunFacts(
            data=self.data,
            config=trainer.config,
            parameters=sum(parameter.numel() for parameter in trainer.raw_model.parameters()),
            device=trainer.accelerator.device.type,
            steps=state.global_step,
            seconds=trainer.length.elapsed_s,
            evaluation=self.evaluations.get(best, {}),
            best_by=trainer.arguments.metric_for_best_model,
            voices=list(trainer.raw_model.config.voices),
            report=report,
        )
        try:
            self.pusher.offer(self.folders.model(facts, self.curves))
        except OSError as error:
            self._say_unwritten(error)

    def _push_state(self, checkpoint: Path) -> None:
        self.state_pushed_at, self.state_pushed = time.monotonic(), checkpoint
        try:
            self.pusher.offer(self.folders.training_state(checkpoint))
        except OSError as error:
            self._say_unwritten(error)

    def _say_unwritten(self, error: OSError) -> None:
        print(f"Nothing was made ready for the Hub ({error}). Training goes on.", flush=True)

    def state(self) -> dict:
        return {"args": {}, "attributes": {"curves": self.curves, "evaluations": self.evaluations}}
