"""Speech that goes on from a clip: the clip's text and frames stand before what is spoken.

The decoder keeps to the voice of the frames before it more closely than to the voice of a clip, which is one vector
for all of it (benchmarks/LOG.md). Continuing from an acoustic prompt: Wang et al. 2023, VALL-E.
Shapes: B utterances, P prompt tokens, S text tokens, N decoder steps, C mel channels, D width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from data_pipeline.errors import UserError, shown
from modeling.aligner import monotonic_search, token_of_step
from modeling.model import GoyaForTextToSpeech
from modeling.processor import Clip, GoyaProcessor

MOST_S = 10.0  # of a clip: with what is spoken after it, it should not be longer than what models are trained on
# Of the token that the pause after a clip counts as. It is not answered: where the clip ends within a word, so does it.
PAUSE = 1
UNSPOKEN = 2  # tokens at the beginning of every text, the language's tag and <bos>, that the prompt has already


@dataclass(frozen=True)
class Prompt:
    """A clip with its text, aligned.

    ids_P: its tokens, and in place of <eos> a space, which the pause before the text is spoken at.
    previous_NC, token_N, steps_in_token_N: the frame before (normalized), the token, and the steps spent on it so far,
        at each decoder step of the clip.
    last_C: its last frame, which speech goes on from.
    """

    ids_P: Tensor
    previous_NC: Tensor
    token_N: Tensor
    steps_in_token_N: Tensor
    last_C: Tensor

    def before(self, ids_BS: Tensor, token_lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [B, P + S - 2] of texts that go on from it, after the tag of their own language; how many each has."""
        clip_BP = self.ids_P[1:].expand(len(ids_BS), -1)
        joined = torch.cat((ids_BS[:, :1], clip_BP, ids_BS[:, UNSPOKEN:]), dim=1)
        return joined, token_lengths + len(self.ids_P) - UNSPOKEN


@torch.inference_mode()
def prompt_of(
    model: GoyaForTextToSpeech,
    processor: GoyaProcessor,
    clip: Clip,
    text: str,
    language: str | None,
    sampling_rate: int | None = None,
) -> Prompt:
    """The prompt of a clip that says `text` in `language`; what is spoken after it may be in another.

    sampling_rate: of a wave, in Hz. Raises UserError for a clip or text that cannot be used, a clip of more than
    `MOST_S` seconds, and one that is too short for its text.
    """
    inputs = processor(text=text, language=language, reference=clip, sampling_rate=sampling_rate).to(model.device)
    ids_BP, lengths_B, mel_BTC = inputs["input_ids"], inputs["token_lengths"], inputs["reference_mel"]
    r, frames_per_s = model.config.frames_per_step, processor.feature_extractor.audio_config.frames_per_s
    seconds, steps_B = mel_BTC.shape[1] / frames_per_s, -(-inputs["reference_lengths"] // r)
    if seconds > MOST_S:
        raise UserError(
            f"The clip to go on from lasts {seconds:.1f} s; expected {MOST_S:g} s at most. Cut it and its text, or "
            "clone its voice without the text."
        )
    if int(steps_B) < int(lengths_B):
        raise UserError(
            f"The clip to go on from lasts {seconds:.1f} s, too short for its text ({shown(text)!r}). Give the words "
            "that are to be heard in it, and no more."
        )
    normal_BTC = model.normalize(mel_BTC) - model.normalize(inputs["reference_spectrum"])[:, None]
    steps_BNX, previous_BNC = model._in_steps(normal_BTC)
    embedded_BPD = model.text_encoder.embedding(ids_BP)  # all that the aligner takes of the text: one row, no padding
    alignment_BNP = model.aligner(embedded_BPD, steps_BNX, lengths_B, steps_B)
    token_BN, steps_in_token_BN, _ = token_of_step(
        monotonic_search(alignment_BNP, lengths_B, steps_B), steps_BNX.shape[1]
    )
    spoken = int((token_BN < lengths_B - 1).sum())  # steps; <eos> and its silence are not the end any more
    ids_P = ids_BP[0].clone()
    ids_P[-1] = processor.tokenizer.convert_tokens_to_ids(" ")
    last_C = normal_BTC[0, min(spoken * r, normal_BTC.shape[1]) - 1]
    return Prompt(ids_P, previous_BNC[0, :spoken], token_BN[0, :spoken], steps_in_token_BN[0, :spoken], last_C)


def spoken_prompt(
    model: GoyaForTextToSpeech, processor: GoyaProcessor, clips: list[Clip], text: str | None, language: str | None
) -> Prompt | None:
    """`prompt_of` the one clip; None without a text. Raises UserError as it does, and for any other number of clips."""
    if text is None:
        return None
    if len(clips) != 1:
        raise UserError(
            f"There is a text of a reference clip, and {len(clips)} clips; expected one clip that says {shown(text)!r}."
        )
    return prompt_of(model, processor, clips[0], text, language)
