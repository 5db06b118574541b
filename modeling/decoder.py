"""What a decoder is: the part of the network that says mel frames and token ends, and all that others know of it.

Monotonic by construction: it is on one token at each step, and says when that token ends, so that it can neither skip
nor loop. Compare He et al. 2019 (stepwise monotonic attention) and Shen et al. 2020 (Non-Attentive Tacotron).

A second decoder is a class in a file of its own, a name for it in `GoyaConfig`, whose range modeling.model and
inference.checked_model know.

Shapes: B utterances, N steps, r frames a step, T frames, S text tokens, C mel channels, D width, V numbers of a voice.
Frames are normalized, less the voice's spectrum (modeling.model).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn


class Steps(ABC):
    """Free-running speech of B utterances: remembers the steps before."""

    @abstractmethod
    def read(self, previous_NC: Tensor, token_N: Tensor, steps_in_token_N: Tensor) -> None:
        """Take the first N steps at once, of frames that are known and the same in every utterance."""

    @abstractmethod
    def step(self, previous_BC: Tensor, token_B: Tensor, steps_in_token_B: Tensor) -> tuple[Tensor, Tensor]:
        """(frames [B, r, C] before `finish`, token-end logit [B]) of the next step, both float32.

        Args:
            previous_BC: the frame before. token_B: indices into the text.
            steps_in_token_B: steps spent on the token so far.
        """


class Decoder(nn.Module, ABC):
    """Previous frames, current tokens, their ages and a voice to frames and token-end logits."""

    @abstractmethod
    def forward(self, previous_BNC: Tensor, token_BND: Tensor, steps_in_token_BN: Tensor, voice_BV: Tensor):
        """All N steps at once, teacher-forced, as training has them.

        Args:
            previous_BNC: the frame before each step. token_BND: the encoding of the token that it is on.
            steps_in_token_BN: steps spent on that token so far. voice_BV: one voice an utterance.

        Returns (frames [B, N * r, C] before `finish`, token-end logits [B, N]), both float32.
        """

    @abstractmethod
    def start(self, context_BSD: Tensor, voice_BV: Tensor, seed: int, numbers: Sequence[int]) -> Steps:
        """Speech of texts as encoded, which step by step equals `forward`; noise aside, if there is any.

        Each utterance has a noise of its own, of (seed, its number), so that it sounds the same in any batch. For as
        long as the steps are used the weights are as they are now, plain and unsharded.
        """

    @abstractmethod
    def finish(self, mel_BTC: Tensor, real_BT1: Tensor) -> Tensor:
        """Frames with what can only be known once those after them are there, float32.

        `real_BT1` is true where a frame is real: nothing may leak in from an utterance's padding.
        """

    @property
    @abstractmethod
    def context_frames(self) -> int:
        """How many frames to each side `finish` looks at."""
