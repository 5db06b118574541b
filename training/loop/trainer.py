"""The training loop. Read from `Trainer.fit` down.

on_train_begin
for epoch:  on_epoch_begin
    for step:  on_step_begin                     rates and loss weights are set
               forward, backward (all micro-batches)
               on_pre_optimizer_step             the update can be skipped
               optimizer step
               on_step_end                       asks for logging, evaluation, checkpoint, the end
               on_log, on_evaluate, on_save      as asked for
    on_epoch_end
on_train_end
"""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from transformers import TrainerState
from transformers.trainer_callback import CallbackHandler

from data_pipeline.batching.collate import Batch
from data_pipeline.batching.loader import is_of_lost_worker, told_lost_worker
from data_pipeline.batching.row_stats import RowStats, merged
from data_pipeline.batching.stall_watchdog import BrokenOff
from data_pipeline.errors import UserError
from modeling.losses import SUMS, LossShape
from training.config.fields import Provenance, RunConfig
from training.distributed.collectives import as_main_says
from training.loop.control import CallbackArguments, Control, Diverged
from training.loop.efficiency import EfficiencyMeter
from training.loop.eval_weights import EvalWeights
from training.loop.interruption import Interruption
from training.loop.length import UNKNOWN_LENGTH, RunLength
from training.loop.out_of_memory import AutoMicrobatch
from training.loop.step import LossWeights, clip_gradients, own_rng_kept
from training.loop.validation import validate
from training.loop.weight_average import WeightAverage
from training.setup.best_metric import STANDARD_ERROR, is_best
from training.setup.inputs import Inputs
from training.setup.trackers import Trackers
from training.setup.training_voices import TrainingVoices
from training.state import continuity, run_state
from training.state.callback_states import callback_states
from training.state.checkpoint import CheckpointFolder
from training.state.run_folder import RunFolder
from training.state.state_files import StateFiles

DIVERGED = (
    "Training diverged: at step {step} the {what} no finite numbers, and nothing of that was saved. Start over with a "
    "lower --lr (and --reset-training), or with --mixed-precision no."
)


@dataclass
class Result:
    """How a run ended. `reason`: "steps", "minutes", "epochs", "early stopping", "diverged" or a signal's name."""

    steps: int
    seconds: float
    seconds_to_first_step: float
    best_metric: float | None
    reason: str
    padded_share: float
    data_wait_share: float
    interrupted: int  # number of the signal, or 0


class Trainer:
    """Trains until the run's length is reached, resuming from `resume_from`.

    Args:
        model: the unwrapped model; `accelerator.prepare` wraps it and the optimizer here.
        checkpoints: where they go.
        weights: the loss weights, shared with the callbacks that set them.
        folder: the run folder, taken.
        callbacks: transformers TrainerCallbacks, in the order they are called.
    """

    def __init__(
        self,
        config: RunConfig,
        provenance: Provenance,
        accelerator: Accelerator,
        model,
        optimizer,
        processor,
        inputs: Inputs,
        checkpoints: CheckpointFolder,
        weights: LossWeights,
        shape: LossShape,
        folder: RunFolder,
    ):
        self.folder = folder  # whose lock lasts as long as this
        self.config, self.provenance, self.accelerator = config, provenance, accelerator
        self.inputs, self.checkpoints, self.weights = inputs, checkpoints, weights
        self.raw_model, self.processor, self.trackers = model, processor, Trackers(accelerator)
        self.model, self.optimizer = accelerator.prepare(model, optimizer)
        self.accumulate_gradients = AutoMicrobatch(accelerator, self.model, weights, shape)
        decay = config.train.ema_decay
        self.average = WeightAverage(model, decay) if decay else None
        self.eval_weights = EvalWeights(accelerator, model, self.average)
        self.training_voices = TrainingVoices(accelerator, self.eval_weights, inputs.train)
        self.files = StateFiles(accelerator, model, self.optimizer, self.average.weights if self.average else {})
        self.arguments, self.control = CallbackArguments(config), Control()
        self.state = TrainerState(
            logging_steps=config.log.every_steps,
            save_steps=config.checkpoint.every_steps,
            eval_steps=config.train.eval_every or UNKNOWN_LENGTH,
            num_train_epochs=config.train.epochs,
            is_world_process_zero=accelerator.is_main_process,
            is_local_process_zero=accelerator.is_local_main_process,
        )
        self.cursor = inputs.train.plan.start(0)
        self.of_run = continuity.of_run(config, inputs, accelerator)
        self.length = RunLength(config, provenance, accelerator)
        self.evaluations_due = 0
        self.owes_evaluation = False  # of this step, which a signal broke off
        self.is_sound = True  # whether the latest evaluation gave finite numbers
        self.proven = -1  # step at whose weights an update was found good, so that a checkpoint of it is, too
        self.saved_at = -1  # step of the newest checkpoint of this process
        self.is_unsaved = False  # whether the latest checkpoint could not be written
        self.efficiency = EfficiencyMeter()
        self.rows = (
            RowStats()
        )  # once the run has ended: of all ranks' last whole epoch, else of one as far as they came

    # What callbacks are built with

    def base_weights(self, state: TrainerState) -> dict[str, float]:
        """The level's loss weights at this step; the alignment's can start higher and fall in a straight line."""
        loss = self.config.loss
        weights = {name: getattr(loss, f"{name}_weight") for name in SUMS} | loss.added_weights
        if loss.alignment_weight_start is not None:
            share = min(1.0, state.global_step / max(1.0, loss.alignment_decay_share * state.max_steps))
            weights["alignment"] += (1 - share) * (loss.alignment_weight_start - loss.alignment_weight)
        return weights

    # The run

    def fit(self, callbacks: list, resume_from: Path | None) -> Result:
        """Train to the end of the run, or to a signal. Raises UserError for data that turns out unusable."""
        self.callbacks = CallbackHandler(callbacks, self.raw_model, self.processor, self.optimizer, None)
        if resume_from is not None:
            run_state.resume(self, resume_from)
        callback_states(self.callbacks)  # so that one that cannot be kept is told now, and not at the first save
        self._estimate_length()
        self._ask("on_train_begin")
        self.model.train()
        with Interruption(self.accelerator) as self.interruption:
            while not self._ended:
                self._epoch_or_end()
        self._check_sound_end()
        if self._stopped_early:
            self.eval_weights.read(self.checkpoints.root / "best")
        self.control.should_training_stop = True
        self._ask("on_train_end")
        stats_by_epoch = self.inputs.train.plan.stats_by_epoch
        self.rows = merged(gather_object([stats_by_epoch.whole or stats_by_epoch.to_cursor(self.cursor)]))
        if self.is_unsaved:
            raise UserError(
                f"The run ended at step {self.state.global_step} and its last checkpoint could not be written. Free "
                f"some space and give the same command: it goes on from {self.checkpoints.newest() or 'the beginning'}."
            )
        return self.result()

    def _epoch_or_end(self) -> None:
        """The evaluation that is owed, or an epoch. A signal ends either at once, a lost loading process too."""
        try:
            if self.owes_evaluation:
                self.control.should_evaluate = self.control.should_save = True
                self._do_what_was_asked()
            else:
                self._epoch()
        except BrokenOff:
            self._heed_interruption()
        except RuntimeError as error:
            if not is_of_lost_worker(error):
                raise
            raise UserError(told_lost_worker(error, self.inputs.train.num_workers)) from error

    @property
    def _ended(self) -> bool:
        return self._done and (not self.owes_evaluation or bool(self.interruption.signal))

    @property
    def _done(self) -> bool:
        at_the_end = self.state.global_step >= self.state.max_steps  # on resuming a finished run, too
        return bool(at_the_end or self.control.should_training_stop or self.interruption.signal)

    def _epoch(self) -> None:
        self.control.should_epoch_stop = False
        self._ask("on_epoch_begin")
        begun_at, step = self.state.global_step, []
        for batch in self.inputs.train.epoch(self.cursor):
            step.append(batch)
            if not batch.planned.ends_step:
                continue
            self._step(step)
            step = []
            if self._done:
                return
            if self.control.should_epoch_stop:
                break
        if self.state.global_step == begun_at:
            self._pass_over_nothing()
        self._ask("on_epoch_end")
        self._do_what_was_asked()

    def _pass_over_nothing(self) -> None:
        """Nothing of the epoch was left to take a step with; of a whole epoch that is an error, and never a loop."""
        plan = self.inputs.train.plan
        if self.cursor == plan.start(self.cursor.epoch) and not len(plan.taken):
            raise UserError(plan.row_stats.why_nothing_is_left())
        self._leave_epoch()
        self._heed_interruption()

    def _leave_epoch(self) -> None:
        """What is left of it is not trained on, so its length is not that of its data."""
        self.cursor = self.inputs.train.plan.start(self.cursor.epoch + 1)
        self.inputs.train.plan.leave(self.cursor.epoch)
        self.length.end_epoch(self.state.global_step, learn=False)
        self._estimate_length()

    def _step(self, batches: list[Batch]) -> None:
        self.efficiency.begin_step()
        self.callbacks.on_step_begin(self.arguments, self.state, self.control)
        losses, frames, suspects = self.accumulate_gradients(batches)
        grad_norm = float(clip_gradients(self.accelerator, self.model, self.config.optim.clip_norm))
        total = self.weights.total(losses)
        named = partial(self._suspects, suspects, [name for batch in batches for name in batch.ids])
        self._update({"losses": losses, "grad_norm": grad_norm, "loss": total, "suspects": named})
        self._advance(batches)
        self._ask("on_step_end", losses=losses, frames=frames)
        if self.control.should_epoch_stop and not batches[-1].planned.ends_epoch:
            self._leave_epoch()
        self._ask_for_evaluation(batches[-1].planned.ends_epoch or self.control.should_epoch_stop)
        if self.control.should_log:
            self._check_broken()
            self._log(
                {
                    "loss": total,
                    "grad_norm": grad_norm,
                    "learning_rate": self.optimizer.param_groups[0]["lr"],
                    **{f"loss/{name}": value for name, value in losses.items()},
                    **{f"weight/{name}": value for name, value in self.weights.values.items()},
                    "padded_share": self.efficiency.padded_share,
                    "data_wait_share": self.efficiency.data_wait_share,
                }
            )
        self._do_what_was_asked()
        if self.control.should_roll_back:
            self._roll_back()
        self._heed_interruption()
        self.efficiency.want_data()

    def _update(self, facts: dict) -> None:
        """The optimizer's step, unless a callback objects or the gradients overflowed fp16."""
        scaler = self.accelerator.scaler
        self.control.should_skip_update = False  # the answer of the step before
        # Below a scale of 1 nothing overflows but what is no number anyway.
        if scaler is not None and not math.isfinite(facts["grad_norm"]) and scaler.get_scale() >= 1:
            self.optimizer.step()  # the scaler leaves the weights alone and lowers its scale: part of fp16, no spike
        else:
            self._ask("on_pre_optimizer_step", **facts)
            if not self.control.should_skip_update:
                self.proven = self.state.global_step
                self.optimizer.step()
            elif scaler is not None:
                scaler.update()  # it has unscaled these gradients, and wants to hear that the step is over
        self.optimizer.zero_grad()

    def _advance(self, batches: list[Batch]) -> None:
        self.state.global_step += 1
        step, planned = self.state.global_step, batches[-1].planned
        self.cursor = planned.after
        self.state.epoch = self.cursor.epoch
        self.efficiency.end_step(batches)
        self.length.note_step(step)
        plan = self.inputs.train.plan
        plan.taken.add(name for batch in batches for name in batch.planned.taken)
        plan.stats_by_epoch.note_step(self.cursor, (found for batch in batches for found in batch.broken.items()))
        if planned.ends_epoch:
            plan.leave(self.cursor.epoch)
            self.length.end_epoch(step)
        is_outrun = step >= self.state.max_steps and self.length.is_guessed
        if planned.ends_epoch or is_outrun or self.length.is_due(step):
            self._estimate_length()

    def _estimate_length(self) -> None:
        self.state.max_steps = self.length.estimate(self.state.global_step, self.cursor.epoch)

    def _do_what_was_asked(self) -> None:
        if self.control.should_evaluate:
            self._evaluate()
        # What led to a skipped update is not what a roll-back should find.
        if self.control.should_save and (self._done or not self.control.should_skip_update):
            self._save()
        self.control.should_save = False

    def _ask_for_evaluation(self, is_end_of_epoch: bool) -> None:
        """In the step itself, so that no checkpoint is of a step whose evaluation is still to come."""
        if is_end_of_epoch:
            self._check_broken(at_end=self.inputs.train.plan.row_stats.whole)
            self.control.should_evaluate |= self.config.train.eval_every is None
        share = self.config.train.eval_every_share
        if share is None:
            return
        due = int(self.state.global_step / self.state.max_steps / share)
        if due > self.evaluations_due:
            self.control.should_evaluate = True
            self.evaluations_due = due

    def _suspects(self, broken: list[str], all_ids: list[str]) -> list[str]:
        """The utterances of all ranks whose loss is not finite, or all of the step's where only its gradient is not."""
        everyone = gather_object([(self.accelerator.process_index, broken, all_ids)])
        found = [(rank, ids) for rank, ids, _ in everyone if ids] or [(rank, ids) for rank, _, ids in everyone]
        where = " (rank {})" if len(everyone) > 1 else ""
        return [name + where.format(rank) for rank, ids in found for name in ids]

    # Logging, evaluation, checkpoints

    def _ask(self, event: str, **facts) -> None:
        self.control = self.callbacks.call_event(event, self.arguments, self.state, self.control, **facts)

    def _log(self, logs: dict[str, float]) -> None:
        self.callbacks.on_log(self.arguments, self.state, self.control, logs)

    def _evaluate(self) -> None:
        with own_rng_kept(self.accelerator.device), self.eval_weights.in_place() as model:
            self.owes_evaluation = True  # until it is done
            is_interrupted, added = self.interruption.check, self.accumulate_gradients.shape.added
            metrics, voices = validate(self.accelerator, model, self.inputs.validation, is_interrupted, added)
        self.owes_evaluation = False
        if not metrics:
            reasons = self.inputs.validation.plan.row_stats.why_nothing_is_left()
            raise UserError("The validation data holds no usable utterance. " + reasons)
        self.is_sound = all(map(math.isfinite, metrics.values()))
        if not self.is_sound:
            self.control.should_evaluate = False
            self.accelerator.print(
                f"Step {self.state.global_step}: the validation gives no finite numbers.", flush=True
            )
            return
        # Those of the model it started from stay.
        others = self.training_voices.beside(voices)
        self.raw_model.config.voices = self.raw_model.config.voices | others | voices
        # Early stopping compares with the best before this evaluation, so it comes first.
        self.control = self.callbacks.on_evaluate(self.arguments, self.state, self.control, metrics)
        self._log(dict(metrics))
        name, lowest = self.arguments.metric_for_best_model, self.state.best_metric
        metric = metrics.get(name)  # speech is judged at some evaluations only
        if metric is not None and is_best(metric, lowest, metrics.get(f"{name}{STANDARD_ERROR}", 0.0)):
            self.state.best_metric = metric if lowest is None else min(metric, lowest)
            self.state.best_global_step = self.state.global_step
            self.state.best_model_checkpoint = str(self.checkpoints.root / "best")
            self.checkpoints.save_best(self.eval_weights.write)

    def _save(self) -> None:
        """A checkpoint, but never of weights that are no numbers or give none."""
        if not self.is_sound or not self.files.are_finite():
            said = f"Step {self.state.global_step}: no checkpoint was written, as the weights are no finite numbers."
            self.accelerator.print(said, flush=True)
            return
        path = self.checkpoints.save(self.state.global_step, run_state.to_json(self), self.files)
        self.is_unsaved = path is None
        if path is not None:
            self._ask("on_save", checkpoint=path)
            self.saved_at = self.state.global_step

    def _roll_back(self) -> None:
        """Weights and optimizer of the last good checkpoint, at a lower rate; the data goes on, past the harm.

        Good is one after which an update was found good: the newest may have been written after the one that did the
        harm, and is taken only where there is no other. Those behind it are set aside, so that the same command does
        not find them.
        """
        rate, groups = self.config.train.roll_back_rate, self.optimizer.param_groups  # which loading replaces
        settings = [{key: value for key, value in group.items() if key != "params"} for group in groups]
        good = self.checkpoints.newest_undamaged(until=self.proven) or self.checkpoints.newest_undamaged()
        if good is not None:
            self.checkpoints.set_aside_later(self.checkpoints.step_of(good))
            self.files.load(good)
            self.is_sound = True
        for group, own in zip(self.optimizer.param_groups, settings, strict=True):
            group.update(own | {"peak_lr": own["peak_lr"] * rate})
        where = f"to {good}" if good else "to the present weights (there is no good checkpoint yet)"
        self.accelerator.print(f"Rolled back {where}; the learning rate is {rate:g} of what it was.")
        self.control.should_roll_back = False
        if good is None:
            self._check_sound_end()

    # Ends and errors

    def _check_sound_end(self) -> None:
        """Raises Diverged where a run would end with what is no model; the same command must not go on from that."""
        if self.is_sound and self.files.are_finite():
            return
        self.checkpoints.set_aside_later(self.proven)
        what = "weights are" if self.is_sound else "validation gives"
        raise Diverged(DIVERGED.format(step=self.state.global_step, what=what))

    @property
    def _stopped_early(self) -> bool:
        """Whether callbacks ended the run, and there is a best evaluation to go back to."""
        is_cut = self.state.global_step < self.state.max_steps and not self.interruption.signal
        return is_cut and bool(as_main_says(self.accelerator, (self.checkpoints.root / "best").is_dir()))

    def _heed_interruption(self) -> None:
        if self.interruption.check() and self.saved_at != self.state.global_step:
            self._save()

    def _check_broken(self, at_end: bool = False) -> None:
        """Raises UserError, with the list, where too many rows of an epoch, or of at least 20 so far, are broken."""
        row_stats, share = self.inputs.train.plan.row_stats, self.config.data.max_broken_share
        # Every rank reads all rows, and decodes its share of them.
        found = torch.tensor([row_stats.undecodable], device=self.accelerator.device)
        broken = row_stats.broken_rows - row_stats.undecodable + int(self.accelerator.gather(found).sum())
        # The part of an epoch can have more than its share by chance: three standard deviations.
        chance = 0 if at_end else 3 * math.sqrt(share * (1 - share) * row_stats.seen)
        if broken > share * row_stats.seen + chance and (at_end or row_stats.seen >= 20):
            listed = "\n  ".join(list(row_stats.broken.values())[:20])
            raise UserError(
                f"{broken} of {row_stats.seen} rows are broken, more than {share:.0%} (data.max_broken_share):\n"
                f"  {listed}"
            )

    def result(self, diverged: bool = False) -> Result:
        train, step = self.config.train, self.state.global_step
        if diverged:
            reason = "diverged"
        elif self.interruption.signal:
            reason = self.interruption.name
        elif step < self.state.max_steps:
            reason = "early stopping"
        elif train.max_minutes is not None and self.length.elapsed_s >= 60 * train.max_minutes:
            reason = "minutes"
        else:
            reason = "steps" if step == train.max_steps else "epochs"
        return Result(
            step,
            self.length.elapsed_s,
            self.length.seconds_to_first_step,
            self.state.best_metric,
            reason,
            self.efficiency.padded_share,
            self.efficiency.data_wait_share,
            self.interruption.signal or 0,
        )
