"""Which callbacks a run gets, in the order they are called. A new one: a file beside this, and a line below."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import torch
from accelerate import Accelerator
from transformers import DefaultFlowCallback, TrainerCallback, TrainerState

from callbacks.adaptive_weights import AdaptiveWeights
from callbacks.audio_samples import AudioSamples
from callbacks.busy_machine import BusyMachine
from callbacks.early_stopping import EarlyStopping
from callbacks.ema import Ema
from callbacks.gradient_monitor import GradientMonitor
from callbacks.progress import Progress
from callbacks.quality_eval import CER, QualityEval
from callbacks.rate_schedule import RateSchedule
from callbacks.spike_guard import SpikeGuard
from callbacks.tracking import Tracking
from callbacks.weight_schedule import WeightSchedule
from data_pipeline.errors import UserError
from data_pipeline.reading.row_count import row_count
from evaluation.quality import SpeechJudge
from evaluation.speaking import FEWEST_WORDS, in_turn, sentences_by_language
from training.config.fields import RunConfig
from training.loop.length import UNKNOWN_LENGTH, Ahead
from training.loop.schedule import SCHEDULES
from training.loop.trainer import Trainer
from training.setup.best_metric import FEWEST_SENTENCES


def default_callbacks(
    trainer: Trainer, accelerator: Accelerator, vocoder, more: Sequence[TrainerCallback] = ()
) -> list[TrainerCallback]:
    """The callbacks that the trainer's configuration asks for; they settle by which metric it chooses the best.

    `more`: those that the user adds; called after all but Progress and Tracking.

    Raises UserError where train.best_metric asks for one that the validation data does not give.
    """
    config = trainer.config
    train, log = config.train, config.log
    chosen: list[TrainerCallback] = [
        DefaultFlowCallback(),
        RateSchedule(SCHEDULES[config.optim.schedule], lambda: trainer.length.optim),
        loss_weights(trainer),
        spike_guard(config),
    ]
    if trainer.average is not None:
        chosen.append(Ema(trainer.average))
    most = max(log.samples, log.quality_sentences)
    by_language = sentences_by_language(trainer.inputs.validation.utterances(), most) if most else {}
    if most and not by_language and accelerator.is_main_process:
        print(f"No samples will be spoken: no held-out sentence has {FEWEST_WORDS} words or more.", flush=True)
    if log.quality_sentences:
        chosen += quality_eval(trainer, accelerator, SpeechJudge(by_language, log.quality_sentences, vocoder))
    if train.early_stopping:
        chosen.append(EarlyStopping(train.patience_evaluations, train.min_delta))
    chosen.append(GradientMonitor())
    if accelerator.device.type == "cpu":
        chosen.append(BusyMachine(accelerator.num_processes, torch.get_num_threads()))
    if log.samples:
        sentences = in_turn(by_language, log.samples)
        folder = Path(config.checkpoint.dir) / "samples"
        every = log.samples_every_minutes
        chosen.append(
            AudioSamples(accelerator, trainer.eval_weights, trainer.trackers, sentences, vocoder, folder, every)
        )
    # Last, so that they see what the others put into the logs.
    return [*chosen, *more, Progress(way_to_the_end(trainer)), Tracking(trainer.trackers)]


def loss_weights(trainer: Trainer) -> TrainerCallback:
    loss = trainer.config.loss
    if not loss.adaptive_weights:
        return WeightSchedule(trainer.weights, trainer.base_weights)
    return AdaptiveWeights(
        trainer.weights,
        trainer.base_weights,
        loss.loss_smoothing,
        every_steps=loss.adaptive_every_steps,
        temperature=loss.adaptive_temperature,
        bounds=loss.adaptive_bounds,
    )


def spike_guard(config: RunConfig) -> SpikeGuard:
    train = config.train
    return SpikeGuard(
        config.loss.loss_smoothing,
        detect=train.spike_detection,
        factor=train.spike_factor,
        patience=train.spike_patience,
        roll_backs=train.max_roll_backs,
        settle_steps=train.spike_settle_steps,
        window=train.spike_window,
    )


def way_to_the_end(trainer: Trainer) -> Callable[[TrainerState], Ahead]:
    """What Progress asks for; a run that only its epochs end has its rows counted once for it."""
    counted = cache(lambda: row_count(trainer.inputs.train.plan.source))

    def ahead(state: TrainerState) -> Ahead:
        train = trainer.config.train
        needs_rows = state.max_steps >= UNKNOWN_LENGTH and train.max_minutes is None
        rows = counted() if needs_rows else None
        return trainer.length.ahead(state.global_step, state.max_steps, trainer.cursor, rows)

    return ahead


def quality_eval(trainer: Trainer, accelerator: Accelerator, judge: SpeechJudge) -> list[TrainerCallback]:
    """The callback that judges speech, where there are sentences for it; with "auto" it decides where it can."""
    train = trainer.config.train
    if train.best_metric == "quality_cer" and not judge.listens:
        raise UserError(
            f"train.best_metric is quality_cer, and of the validation data {judge.recognized} English sentences of "
            f"three words or more can be judged; expected {FEWEST_SENTENCES} or more. Give more with --val-data, or "
            "--set train.best_metric=eval_mel."
        )
    if not judge.sentences:
        return []
    decides = judge.listens and train.best_metric != "eval_mel"
    if decides:
        trainer.arguments.metric_for_best_model = CER
    stretches = train.max_minutes is not None or not decides
    log = trainer.config.log
    weights, trackers = trainer.eval_weights, trainer.trackers
    return [
        QualityEval(
            accelerator, weights, trackers, judge, log.quality_every, decides, stretches, most_share=log.quality_share
        )
    ]
