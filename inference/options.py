"""How a text is spoken, as a script, a page, a pipeline or Python says it."""

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from data_pipeline.errors import UserError

AUTO = "auto"  # the vocoder that fits the model's mels
BASE = "base"  # the model that ships; a folder of that name is ./base
BASE_LICENSE = "CC-BY-SA-3.0"
DEVICES = ("auto", "cuda", "mps", "cpu")
SLOWEST, FASTEST = 0.25, 4.0


@dataclass(frozen=True)
class SpeechOptions:
    """All but the text itself. Raises UserError for what does not go together or is out of range.

    Args:
        language: a code or an English name; may be left out of a model whose voices are of one language.
        voice: a speaker of the training data.
        reference: a clip, or several, to clone in its place: paths, or what else the feature extractor reads.
        reference_text: what the one clip says, to keep closer to its voice (inference.prompt), in the language of the
            text or in reference_language.
        vocoder: as in inference.vocoders.registry.load_vocoder.
        speed: 2 is twice as fast.
        seed: of the noise that the decoder is given while it speaks.
    """

    language: str | None = None
    voice: str | None = None
    reference: Sequence[Any] | str | None = None
    reference_text: str | None = None
    reference_language: str | None = None
    vocoder: str = AUTO
    speed: float = 1.0
    seed: int = 0

    def __post_init__(self):
        clips = len(self.clips)
        if clips and self.voice is not None:
            raise UserError("Both --reference and --voice were given; expected one of them.")
        if self.reference_text is not None and clips != 1:
            raise UserError(
                f"--reference-text says what one clip says, and there are {clips}; give one --reference with it."
            )
        if not SLOWEST <= self.speed <= FASTEST:
            raise UserError(f"--speed is {self.speed:g}; expected {SLOWEST:g} to {FASTEST:g}.")
        if self.seed < 0:
            raise UserError(f"--seed is {self.seed}; expected 0 or more.")

    @property
    def clips(self) -> list:
        return [self.reference] if isinstance(self.reference, str) else list(self.reference or ())


def add_model(parser: ArgumentParser) -> None:
    """The arguments of every command that speaks: which model, and where."""
    parser.add_argument(
        "model",
        nargs="?",
        default=BASE,
        help="a run folder, a checkpoint's or model's folder, a Hub id, or base, which ships (default: %(default)s)",
    )
    parser.add_argument(
        "--device", default="auto", choices=DEVICES, help="auto: a GPU where there is one (default: %(default)s)"
    )
