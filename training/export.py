"""A checkpoint as a model folder that from_pretrained, synthesize.py and the Hub take:

    python -m training.export runs/my_run exported

The weights become one model.safetensors, also where they were saved in shards (FSDP2); the averaged ones, where the
run kept an average, unless --training-weights asks for those that were trained.
"""

import argparse
import os
import sys
from pathlib import Path

from data_pipeline.commands import command
from data_pipeline.errors import UserError, tell


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0, or 2 after a user's mistake."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="a folder step-... of a run, or the run's, for its newest")
    parser.add_argument("out", type=Path, help="the folder to make")
    parser.add_argument("--training-weights", action="store_true", help="not the average, where there is one")
    given = parser.parse_args(argv)
    try:
        export(given.checkpoint, given.out, averaged=not given.training_weights)
    except UserError as error:
        tell(error)
        return 2
    print(f"Hear it:\n  {command('synthesize.py', str(given.out), '--text', 'Thank you for calling.')} --out hello.wav")
    return 0


def export(checkpoint: Path, out: Path, averaged: bool = True) -> None:
    """Raises UserError where `checkpoint` is none or is damaged, or `out` is there already or cannot be written."""
    from safetensors import SafetensorError

    from inference.pretrained import load_description
    from modeling.model import GoyaForTextToSpeech
    from training.state.checkpoint import check
    from training.state.saved_state import reading
    from training.state.state_files import load_weights

    if os.path.isdir(checkpoint / "checkpoints"):
        whole = sorted((checkpoint / "checkpoints").glob("step-????????"))
        if not whole:
            raise UserError(f"{checkpoint} holds no checkpoint yet; the first may not be written.")
        checkpoint = whole[-1]
    check(checkpoint)
    if os.path.exists(out):
        raise UserError(f"{out} is there already; give the name of a folder to make.")
    config, processor = load_description(str(checkpoint))
    model = GoyaForTextToSpeech(config)
    with reading(checkpoint, OSError, RuntimeError):
        load_weights(model, checkpoint, averaged)
    try:
        model.save_pretrained(out)
        processor.save_pretrained(out)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{out} cannot be written ({error}); give another place, or make room there.") from error


if __name__ == "__main__":
    sys.exit(main())
