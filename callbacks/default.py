"""Which callbacks a run gets, in the order they are called. A new one: a file beside this, and a line below."""

from pathlib import Path

from accelerate import Accelerator
from transformers import DefaultFlowCallback, TrainerCallback

from callbacks.adaptive_weights import AdaptiveWeights
from callbacks.audio_samples import AudioSamples
from callbacks.constant_rate import ConstantRate
from callbacks.cosine_restarts import CosineRestarts
from callbacks.early_stopping import EarlyStopping
from callbacks.ema import Ema
from callbacks.gradient_monitor import GradientMonitor
from callbacks.noam import Noam
from callbacks.progress import Progress
from callbacks.spike_guard import SpikeGuard
from callbacks.tracking import Tracking
from callbacks.weight_schedule import WeightSchedule
from evaluation.speaking import choose_sentences
from training.loop import Trainer

SCHEDULES = {"cosine_restarts": CosineRestarts, "noam": Noam, "constant": ConstantRate}


def default_callbacks(trainer: Trainer, accelerator: Accelerator, vocoder) -> list[TrainerCallback]:
    """The callbacks that the trainer's configuration asks for."""
    config = trainer.config
    loss, train = config.loss, config.train
    chosen: list[TrainerCallback] = [
        DefaultFlowCallback(),
        SCHEDULES[config.optim.schedule](lambda: trainer.length.optim),
        AdaptiveWeights(trainer.weights, trainer.base_weights, loss.loss_smoothing)
        if loss.adaptive_weights
        else WeightSchedule(trainer.weights, trainer.base_weights),
        SpikeGuard(loss.loss_smoothing, detect=train.spike_detection),
    ]
    if trainer.average is not None:
        chosen.append(Ema(trainer.average))
    if train.early_stopping:
        chosen.append(EarlyStopping(train.patience_evaluations, train.min_delta))
    chosen.append(GradientMonitor())
    if config.log.samples:
        sentences = choose_sentences(trainer.inputs.validation.utterances(), config.log.samples)
        folder = Path(config.checkpoint.dir) / "samples"
        every = config.log.samples_every_minutes
        chosen.append(AudioSamples(accelerator, trainer.shipped, trainer.trackers, sentences, vocoder, folder, every))
    # Last, so that they see what the others put into the logs.
    return [*chosen, Progress(), Tracking(trainer.trackers)]
