"""From the configuration to the training and validation loaders."""

from dataclasses import dataclass
from functools import partial

from data_pipeline.batching.balance import SpeakerBalance
from data_pipeline.batching.features import FeatureMaker
from data_pipeline.batching.loader import Loader, waited_for
from data_pipeline.batching.plan import Limits, Plan
from data_pipeline.batching.stall_watchdog import StallWatchdog
from data_pipeline.errors import UserError
from data_pipeline.reading.columns import ColumnNames
from data_pipeline.reading.exclude_list import read_exclude_list
from data_pipeline.reading.held_out import HeldOut, Outside, hold_out
from data_pipeline.reading.sources import Source, open_source
from data_pipeline.reading.splits import TRAIN, VALIDATION
from data_pipeline.recordings.audio import PRESETS
from data_pipeline.text.tokens import Vocabulary
from training.config.fields import DataConfig, RunConfig

VALIDATION_CACHE_SHARE = 0.25  # of data.cache_mb; the rest is for training utterances


@dataclass
class Inputs:
    train: Loader
    validation: Loader
    description: str


def build_inputs(
    config: RunConfig,
    frames_per_step: int,
    rank: int,
    world_size: int,
    pin: bool = False,
    vocabulary: Vocabulary | None = None,
    to_train: bool = True,
) -> Inputs:
    """Open the sources and plan the batches. Raises UserError for data that cannot be used or does not come.

    `vocabulary`: what texts are read with; None: a new model's. `to_train`: rows have to be held out for validation,
    where the corpus brings no such part; else it is enough that the corpus can be looked at.
    """
    data, audio = config.data, PRESETS[config.audio.preset]
    where = {TRAIN: data.train_data, VALIDATION: data.val_data or data.train_data}
    on_rank = f", rank {rank}" if world_size > 1 else ""
    watchdogs = {split: StallWatchdog(place + on_rank, 60 * data.stall_minutes) for split, place in where.items()}
    train, validation = _open_both(data, where, watchdogs)
    train_plan, validation_plan = _plans(config, train, validation, rank, world_size)
    make = FeatureMaker(audio, frames_per_step, data.language, vocabulary or Vocabulary(units=data.text_units))
    share = VALIDATION_CACHE_SHARE
    cache_mb = data.cache_mb * (1 - share)
    load = partial(Loader, make=make, reference_s=data.reference_s)
    loader = load(train_plan, watchdog=watchdogs[TRAIN], num_workers=data.num_workers, cache_mb=cache_mb, pin=pin)
    held_out = None
    if validation is None:
        held_out = HeldOut(data.val_fraction)
        if to_train:
            usable = waited_for(train_plan.usable(), watchdogs[TRAIN], "choosing what is held out")
            held_out = hold_out(usable, data.val_fraction, where[TRAIN])
        train_plan.keep, validation_plan.keep = Outside(held_out), held_out
    if data.speaker_balance:
        utterances = loader.utterances("counting its speakers")
        train_plan.balance = SpeakerBalance.of(utterances, data.speaker_balance, where[TRAIN])
    return Inputs(
        loader,
        load(validation_plan, watchdog=watchdogs[VALIDATION], num_workers=0, cache_mb=data.cache_mb * share),
        f"{train.describe()}; validation: {held_out.told if held_out else validation.describe()}",
    )


def _open_both(
    data: DataConfig, where: dict[str, str], watchdogs: dict[str, StallWatchdog]
) -> tuple[Source, Source | None]:
    """The sources of training and of validation; None where validation is a share of training's rows."""
    train, validation = (_open(data, where[split], split, watchdogs[split]) for split in (TRAIN, VALIDATION))
    if validation is None and data.val_data:  # a place named for validation, whose own names say nothing of a split
        validation = _open(data, data.val_data, TRAIN, watchdogs[VALIDATION])
    if validation is None and not data.val_fraction:
        raise UserError(
            f"{data.train_data} has no validation split, and data.val_fraction is 0; give --val-data, or "
            "leave data.val_fraction at its default."
        )
    return train, validation


def _plans(
    config: RunConfig, train: Source, validation: Source | None, rank: int, world_size: int
) -> tuple[Plan, Plan]:
    data = config.data
    limits = Limits(
        config.train.batch_size,
        data.max_batch_frames,
        data.min_duration_s,
        data.max_duration_s,
        data.max_text_chars,
        data.pool_batches,
    )
    plan = partial(
        Plan,
        audio=PRESETS[config.audio.preset],
        limits=limits,
        seed=config.train.seed,
        rank=rank,
        world_size=world_size,
        shuffle_buffer=data.shuffle_buffer,
        exclude=read_exclude_list(data.exclude_list),
    )
    train_plan = plan(
        train,
        grad_accum=config.train.grad_accum,
        by_length_rows=config.train.curriculum_rows if config.train.length_curriculum else 0,
        speaker_augmentation=data.speaker_augmentation,
        recorded_share=data.recorded_share,
    )
    return train_plan, plan(train if validation is None else validation, shuffle=False)


def open_training(config: RunConfig) -> Source:
    """The training corpus, to look at its rows. Raises UserError where it cannot be opened or does not come."""
    data = config.data
    return _open(data, data.train_data, TRAIN, StallWatchdog(data.train_data, 60 * data.stall_minutes))


def _open(data: DataConfig, where: str, split: str, watchdog: StallWatchdog) -> Source | None:
    columns = ColumnNames(data.text_column, data.audio_column, data.speaker_column, data.language_column)
    with watchdog.waiting(lambda: "opening it"):
        return open_source(
            where, columns=columns, dataset_config=data.dataset_config, split=split, language=data.language
        )
