"""Free-running speech: the decoder's own frames come back in, and its token-end logit moves the position on.

Shapes: B utterances, S text tokens, r frames a step, C mel channels, V voice dimensions.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from modeling.cache import KeyValueCache
from modeling.layers import length_mask
from modeling.model import GoyaForTextToSpeech


@dataclass
class Speech:
    """One utterance: log-mel [T, C] and the decoder steps spent on each of its tokens [S]."""

    mel_TC: Tensor
    durations_S: Tensor


@torch.inference_mode()
def encode_voice(model: GoyaForTextToSpeech, reference_mel_TC: Tensor) -> Tensor:
    """The voice [V] of a clip given as log-mel: the posterior's mean."""
    mel = reference_mel_TC[None].to(model.device)
    mean, _ = model.voice_encoder(model.normalise(mel), torch.tensor([mel.shape[1]], device=mel.device))
    return mean[0]


@torch.inference_mode()
def synthesise(
    model: GoyaForTextToSpeech, ids_BS: Tensor, token_lengths: Tensor, voice_BV: Tensor, speed: float = 1.0
) -> list[Speech]:
    """Speak a batch of token sequences, each in its own voice.

    Args:
        ids_BS: padded token ids; token_lengths: [B].
        voice_BV: one voice an utterance.
        speed: 2.0 leaves each token in half the time.

    A token is left when the probability that it has ended by now, from the product of the token-end
    probabilities, passes one half: the median of the duration that the model predicts.
    Dropout of the pre-net stays on; seed torch for a repeatable result.
    """
    steps, tokens = zip(*decode_steps(model, ids_BS, token_lengths, voice_BV, speed), strict=True)
    mel_BTC, token_BN = torch.cat(steps, dim=1), torch.stack(tokens, dim=1)
    durations_BS = torch.zeros(ids_BS.shape[0], ids_BS.shape[1] + 1, dtype=torch.long, device=mel_BTC.device)
    durations_BS.scatter_add_(1, token_BN, torch.ones_like(token_BN))
    durations_BS = durations_BS[:, :-1]  # the last column counts the steps after an utterance's end
    frames_B = durations_BS.sum(1) * model.config.frames_per_step
    mel_BTC = model.decoder.postnet(mel_BTC, length_mask(frames_B, mel_BTC.shape[1])[..., None])
    mel_BTC = model.denormalise(mel_BTC)
    return [
        Speech(mel_BTC[row, : frames_B[row]].float(), durations_BS[row, : token_lengths[row]])
        for row in range(ids_BS.shape[0])
    ]


def decode_steps(
    model: GoyaForTextToSpeech, ids_BS: Tensor, token_lengths: Tensor, voice_BV: Tensor, speed: float = 1.0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield, step by step, (normalised frames [B, r, C], the token each utterance spoke [B], S once it is done)."""
    config, device = model.config, ids_BS.device
    batch, longest = ids_BS.shape
    rows = torch.arange(batch, device=device)
    context_BSD, _ = model.text_encoder(ids_BS, token_lengths)
    token, age = torch.zeros_like(token_lengths), torch.zeros_like(token_lengths)
    staying = torch.ones(batch, device=device)
    previous = torch.zeros(batch, 1, config.n_mels, device=device)
    cache = KeyValueCache()
    while (token < token_lengths).any():
        current = token.clamp(max=longest - 1)
        frames, logit = model.decoder(previous, context_BSD[rows, current][:, None], age[:, None], voice_BV, cache)
        done = token >= token_lengths
        yield frames, torch.where(done, longest, token)
        staying = staying * (1 - end_probability(logit[:, 0], config.stop_smoothing)).pow(speed)
        leave = (staying < 0.5) | (age + 1 >= config.max_token_steps)
        token = token + (leave & ~done)
        age = torch.where(leave, 0, age + 1)
        staying = torch.where(leave, 1.0, staying)
        previous = frames[:, -1:]


def end_probability(logits: Tensor, smoothing: float) -> Tensor:
    """The probability that a token ends, with the label smoothing of training taken out.

    Smoothed targets lie in [s / 2, 1 - s / 2]. Left as it is, the s / 2 of every step in which a pause goes on
    would end it early.
    """
    return ((torch.sigmoid(logits) - smoothing / 2) / (1 - smoothing)).clamp(0.0, 1.0)
