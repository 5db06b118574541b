"""A small network whose every parameter matters, and batches for it."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech

TOKENS, FRAMES, REFERENCE_FRAMES = (5, 11, 8), (21, 60, 33), (30, 17, 44)
GARBAGE = 37.0  # what padding holds here, so that a look at it shows


@pytest.fixture
def model() -> GoyaForTextToSpeech:
    """Size debug, eval mode, no dropout; what starts at zero (the post-net's last layer) is moved from it."""
    torch.manual_seed(0)
    model = GoyaForTextToSpeech(GoyaConfig.of_size("debug", prenet_dropout=0.0)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.03 * torch.randn_like(parameter))
    return model


@pytest.fixture
def batch() -> dict[str, Tensor]:
    """Three utterances of different lengths; their padding is garbage, not silence."""
    generator = torch.Generator().manual_seed(1)

    def mels(lengths: tuple[int, ...]) -> Tensor:
        mel = torch.randn(len(lengths), max(lengths), 80, generator=generator) * 2 - 5
        for row, length in zip(mel, lengths, strict=True):
            row[length:] = GARBAGE
        return mel

    return {
        "input_ids": torch.randint(4, 600, (len(TOKENS), max(TOKENS)), generator=generator),
        "token_lengths": torch.tensor(TOKENS),
        "mel": mels(FRAMES),
        "mel_lengths": torch.tensor(FRAMES),
        "reference_mel": mels(REFERENCE_FRAMES),
        "reference_lengths": torch.tensor(REFERENCE_FRAMES),
        "reference_spectrum": torch.randn(len(TOKENS), 80, generator=generator) - 4,
    }


@pytest.fixture
def alone(batch) -> Callable[[int], dict[str, Tensor]]:
    """A function from an utterance's row to the same utterance in a batch of its own, without padding."""
    longest = {"input_ids": TOKENS, "mel": FRAMES, "reference_mel": REFERENCE_FRAMES}

    def row_of(row: int) -> dict[str, Tensor]:
        one = {name: tensor[row : row + 1] for name, tensor in batch.items()}
        return one | {name: one[name][:, : lengths[row]] for name, lengths in longest.items()}

    return row_of
