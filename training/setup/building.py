"""Accelerator, model, processor and trackers from the configuration."""

import importlib
import importlib.util
import os
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import FullyShardedDataParallelPlugin, InitProcessGroupKwargs, ProjectConfiguration

from data_pipeline.errors import UserError, redacted
from data_pipeline.recordings.audio import PRESETS
from data_pipeline.text.tokens import Vocabulary
from data_pipeline.utterance import plain
from modeling.losses import LossShape, added_losses
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaFeatureExtractor, GoyaProcessor, GoyaTokenizer
from training.config.fields import FIELDS, RunConfig, get
from training.setup import lora
from training.setup.freezing import freeze
from training.setup.init_from import initial_model
from training.setup.precision import fp8_recipe

# How long a process waits for the others in one exchange, at least. A process that dies closes its connections, and the
# others know at once; this is for a machine that falls silent. It has to be longer than whatever one process does while
# the others wait: a checkpoint of size big on a slow network disk, or samples, take minutes; data may stall for as long
# as data.stall_minutes. NCCL's default is 10 minutes too, gloo's 30.
PATIENCE_MINUTES = 10


def build_accelerator(config: RunConfig) -> Accelerator:
    """Raises UserError where the tracker's package is missing: before training, not after."""
    tracker = config.log.tracker
    if tracker != "none" and importlib.util.find_spec(tracker) is None:
        raise UserError(f"The tracker {tracker} is not installed. Run pip install {tracker}, or give --tracker none.")
    if config.train.cpu_threads is not None:
        torch.set_num_threads(config.train.cpu_threads)
    # cuDNN's attention, which torch prefers on Hopper, makes a plan for each new shape, of 23 ms to half a second; and
    # nearly every batch has one.
    torch.backends.cuda.enable_cudnn_sdp(False)
    return Accelerator(
        cpu=config.train.device == "cpu",
        mixed_precision=config.train.mixed_precision,
        gradient_accumulation_steps=1,  # training.loop.step accumulates itself: it has to count before it divides
        log_with=None if tracker == "none" else tracker,
        project_config=ProjectConfiguration(project_dir=config.checkpoint.dir, logging_dir=str(log_folder(config))),
        fsdp_plugin=sharding(),
        kwargs_handlers=[
            InitProcessGroupKwargs(timeout=timedelta(minutes=max(PATIENCE_MINUTES, config.data.stall_minutes + 1))),
            *([fp8_recipe()] if config.train.mixed_precision == "fp8" else []),
        ],
    )


def sharding() -> FullyShardedDataParallelPlugin | None:
    """FSDP as the launcher's environment asks for it, with weights, gradients and outputs in float32; else None.

    Under mixed precision accelerate would have FSDP2 round all weights, mels and outputs to 16 bits, those of norms and
    of the voice's Gaussian too. Autocast, which computes in 16 bits only what bears it, is on here as without FSDP.

    Raises UserError for DeepSpeed and for FSDP's first version.
    """
    if _is_on("ACCELERATE_USE_DEEPSPEED"):
        raise UserError(
            "The launcher's configuration asks for DeepSpeed, which takes the optimizer's step within the backward "
            "pass: no update could be left out, and no gradients gathered over several batches. Give accelerate launch "
            "--config_file accelerate_configs/fsdp2_zero2.yaml, which splits the same things through FSDP2."
        )
    if not _is_on("ACCELERATE_USE_FSDP"):
        return None
    version = os.environ.get("FSDP_VERSION", "1")
    if version != "2":
        raise UserError(
            f"The launcher's configuration asks for FSDP, version {version}, whose checkpoints do not load again; "
            "expected fsdp_version: 2, as in accelerate_configs/fsdp2.yaml."
        )
    exact = dict.fromkeys(("param_dtype", "reduce_dtype", "output_dtype"), torch.float32)
    return FullyShardedDataParallelPlugin(mixed_precision_policy=exact)


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "false").lower() == "true"


def log_folder(config: RunConfig) -> Path:
    return Path(config.checkpoint.dir) / "logs"


def start_trackers(accelerator: Accelerator, config: RunConfig, step: int = 0) -> None:
    """TensorBoard takes scalars and text only, so every value is told by its dotted key. Of points after `step`, where
    a run goes on, it forgets those of the way that was cut."""
    if config.log.tracker != "none":
        flat = {key: get(config, key) for key in FIELDS}
        # Text as UTF-8 can say it: the name of a file may be none.
        told = {key: v if isinstance(v, int | float | bool) else plain(str(v)) for key, v in flat.items()}
        once = {"tensorboard": {"purge_step": step + 1}} if config.log.tracker == "tensorboard" else {}
        try:
            accelerator.init_trackers("goya", config=redacted(told), init_kwargs=once)
        except tracker_errors(config.log.tracker) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(
                f"The tracker {config.log.tracker} could not be started ({reason[:300]}). Log in to it (wandb login), "
                "or let it work offline (WANDB_MODE=offline), or give --tracker tensorboard."
            ) from error


def tracker_errors(tracker: str) -> tuple[type[Exception], ...]:
    """What the start of a tracker fails with: no login, no network, no folder that can be written to."""
    own = {"wandb": ("wandb.errors", "Error"), "mlflow": ("mlflow.exceptions", "MlflowException")}
    if tracker not in own:
        return (OSError, ValueError, RuntimeError)
    module, name = own[tracker]
    return (OSError, ValueError, RuntimeError, getattr(importlib.import_module(module), name))


def build_model(config: RunConfig) -> tuple[GoyaForTextToSpeech, Vocabulary]:
    """A new model of the configured size and mel convention, or that of --init-from; and how it reads texts.

    What --freeze and --lora-rank leave untrained takes no gradient. Raises UserError (init_from, freezing).
    """
    model, vocabulary = initial_model(config)
    fine_tune = config.fine_tune
    if fine_tune.lora_rank:
        lora.add_adapters(model, fine_tune.lora_rank)
    if fine_tune.freeze:
        freeze(model, fine_tune.freeze)
    if config.model.gradient_checkpointing:
        model.gradient_checkpointing_enable()
    return model, vocabulary


def loss_shape(config: RunConfig, frames_per_step: int) -> LossShape:
    """What the losses need to know of the configuration, apart from their weights. Raises UserError for an added one
    that no package has."""
    loss, added = config.loss, added_losses(config.loss.added_weights)
    return LossShape(loss.mel_loss, loss.huber_delta, loss.mel_smoothing, loss.stop_smoothing, frames_per_step, added)


def build_processor(config: RunConfig, vocabulary: Vocabulary) -> GoyaProcessor:
    extractor = GoyaFeatureExtractor(**asdict(PRESETS[config.audio.preset]))
    return GoyaProcessor(extractor, GoyaTokenizer(vocabulary=vocabulary))
