"""Train a text-to-speech voice:  accelerate launch train_main.py --optimization-level enhanced

Arguments -> configuration -> data, model, optimizer, callbacks -> fit -> quality and the command that speaks.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data_pipeline.errors import UserError, redact, tell
from training.config.arguments import parse
from training.distributed.leave import leave
from training.distributed.lost_rank import LostRank, telling_of_lost_ranks
from training.distributed.parent import end_with_launcher
from training.loop.output import lasting_output
from training.setup.caches import ensure_caches

if TYPE_CHECKING:
    from transformers import TrainerCallback


def main(argv: Sequence[str] | None = None, callbacks: "Sequence[TrainerCallback]" = ()) -> int:
    """The exit code: 0, 1 where another rank is lost, 2 after a user's mistake, or 128 + n after signal n.

    Args:
        argv: words of the command line; None takes this process'.
        callbacks: called beside those that the configuration asks for and --callback names (docs/extending.md).
    """
    with lasting_output():
        try:
            ensure_caches()
            config, provenance, hardware = parse(argv)
            with telling_of_lost_ranks(config):
                return run(config, provenance, hardware, callbacks)
        except (LostRank, UserError) as error:
            tell(error)
            return 1 if isinstance(error, LostRank) else 2
        except KeyboardInterrupt:  # while it starts, or after its last step; in between, training.loop.interruption
            print("\nStopped. What was saved stays; the same command goes on from it.", file=sys.stderr)
            return 128 + signal.SIGINT


def run(config, provenance, hardware, callbacks=()) -> int:
    """Train as the configuration says; with --check-data only look at the corpus."""
    if config.data.check_data is not None:
        return check(config, provenance, hardware)
    # Here, not above: --help and a mistyped flag answer before torch and transformers are loaded.
    from accelerate.utils import set_seed
    from transformers.utils import logging

    from callbacks.named import named_callbacks
    from hub.session import hub_session
    from training.config.resolve import table
    from training.setup.building import build_accelerator

    logging.disable_progress_bar()  # of each save; the training has its own
    callbacks = [*named_callbacks(config.train.callbacks), *callbacks]
    accelerator = build_accelerator(config)
    set_seed(config.train.seed)
    if accelerator.is_main_process:
        print(table(config, provenance), flush=True)
    with hub_session(config, accelerator) as pusher:
        return train(config, provenance, accelerator, pusher, callbacks)


def train(config, provenance, accelerator, pusher, callbacks) -> int:
    """The run itself, with its folder taken; `pusher` takes what goes to the Hub (None: nothing does)."""
    trainer = build_trainer(config, provenance, accelerator)
    try:
        return fit(config, accelerator, trainer, pusher, callbacks)
    finally:
        trainer.folder.release()


def fit(config, accelerator, trainer, pusher, more_callbacks) -> int:
    """Train, and say how it ended."""
    from callbacks.default import default_callbacks
    from callbacks.hub_push import hub_push
    from data_pipeline.recordings.audio import PRESETS
    from inference.options import AUTO
    from inference.vocoders.registry import load_vocoder
    from training.loop.control import Diverged
    from training.loop.report import write_report
    from training.setup.building import start_trackers

    resume_from = trainer.checkpoints.to_resume(config.checkpoint)
    start_trackers(accelerator, config, trainer.checkpoints.step_of(resume_from) if resume_from else 0)
    vocoder = load_vocoder(AUTO, PRESETS[config.audio.preset], accelerator.device)
    callbacks = default_callbacks(trainer, accelerator, vocoder, more_callbacks)
    push = hub_push(trainer, pusher, callbacks)
    try:
        result = trainer.fit([*callbacks, *push], resume_from)
    except Diverged:
        if accelerator.is_main_process:
            write_report(Path(config.checkpoint.dir), config, trainer, trainer.result(diverged=True), quality=None)
        raise
    trainer.trackers.end()
    if accelerator.is_main_process:
        report(config, trainer, vocoder, result)
    for one in push:
        one.finish(result)
    return 128 + result.interrupted if result.interrupted else 0


def build_trainer(config, provenance, accelerator):
    """Model, data, optimizer, checkpoints and the loop over them; says what the corpus and the model are."""
    from evaluation.data_check.check import brief
    from hub.remote_code import add_code
    from training.loop.step import LossWeights
    from training.loop.trainer import Trainer
    from training.setup.building import build_model, build_processor, loss_shape
    from training.setup.freezing import what_trains
    from training.setup.inputs import build_inputs
    from training.setup.optimizer import build_optimizer
    from training.state.checkpoint import CheckpointFolder
    from training.state.run_folder import RunFolder

    model, vocabulary = build_model(config)
    processor = build_processor(config, vocabulary)

    def export(path: Path) -> None:
        model.config.save_pretrained(path)
        processor.save_pretrained(path)

    rank, world_size = accelerator.process_index, accelerator.num_processes
    pin = accelerator.device.type == "cuda"
    inputs = build_inputs(config, model.config.frames_per_step, rank, world_size, pin, vocabulary)
    accelerator.print(f"\n{redact(inputs.description)}\n{what_trains(model)}\n")
    if accelerator.is_main_process:
        print(brief(config, provenance, inputs), flush=True)
    checkpoints = CheckpointFolder(accelerator, Path(config.checkpoint.dir), config.checkpoint.keep, export, add_code)
    folder = RunFolder(config, provenance, accelerator)
    folder.check()
    checkpoints.prepare(config.checkpoint.reset)
    folder.take()
    return Trainer(
        config,
        provenance,
        accelerator,
        model,
        build_optimizer(model, config.optim, accelerator.device),
        processor,
        inputs,
        checkpoints,
        LossWeights({}),
        loss_shape(config, model.config.frames_per_step),
        folder,
    )


def check(config, provenance, hardware) -> int:
    """Report on the corpus instead of training; of several processes the first does it."""
    from transformers.utils import logging

    from evaluation.data_check.check import check_data

    logging.disable_progress_bar()
    if os.environ.get("RANK", "0") == "0":
        check_data(config, provenance, hardware.kind)
    return 0


def report(config, trainer, vocoder, result) -> None:
    """Say how the run ended, how good it sounds, and what to do next."""
    from evaluation.learned_postfilter import learn_postfilter
    from evaluation.quality import can_recognize, speech_quality
    from modeling.model import GoyaForTextToSpeech
    from training.loop.report import closing_lines, write_report

    folder, quality, unheard = Path(config.checkpoint.dir), None, ""
    if config.train.debug or result.interrupted or not (folder / "best").is_dir():
        unheard = "Its speech was not judged: the run is a debug run, was interrupted, or had no evaluation."
    else:
        model = GoyaForTextToSpeech.from_pretrained(folder / "best").to(trainer.accelerator.device)
        learn_postfilter(folder / "best", model, trainer.processor, trainer.inputs.train.utterances())
        if can_recognize():
            quality = speech_quality(model, trainer.processor, vocoder, trainer.inputs.validation.utterances())
            unheard = "Its speech was not judged: the recognizer hears English, and no validation sentence is."
        else:
            unheard = 'For a character error rate of its speech here: pip install -e ".[eval]"'
    write_report(folder, config, trainer, result, quality)
    print(closing_lines(config, trainer, result, quality, unheard))


def command() -> None:
    """What goya-train runs."""
    end_with_launcher()
    leave(main())


def check_command() -> None:
    """What goya-check runs."""
    words = sys.argv[1:]
    is_said = any(word.partition("=")[0].replace("_", "-") == "--check-data" for word in words)
    leave(main(words if is_said else [*words, "--check-data"]))


if __name__ == "__main__":
    command()
