"""Free-running speech: the decoder's own frames come back in, and its token-end logit moves the position on.

Shapes: B utterances, S text tokens, r frames a step, C mel channels, V numbers of a voice (GoyaConfig.voice_size), U
of them the posterior's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from data_pipeline.recordings.speech import speech_spectrum
from inference.prompt import PAUSE, UNSPOKEN, Prompt
from inference.tempo import durations_at, mel_at
from modeling.layers import length_mask
from modeling.model import GoyaForTextToSpeech


@dataclass
class Speech:
    """One utterance: log-mel [T, C] and the decoder steps spent on each of its tokens [S]."""

    mel_TC: Tensor
    durations_S: Tensor


@contextmanager
def evaluating(model: GoyaForTextToSpeech) -> Iterator[None]:
    """Eval mode within, and the mode of before after it."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


@torch.inference_mode()
def encode_voice(model: GoyaForTextToSpeech, *reference_mels_TC: Tensor) -> Tensor:
    """The voice [V] of one clip or several, given as log-mel: the mean of their posteriors, weighted by duration.

    The encoder pools over frames, so that a longer clip's posterior rests on more evidence; weighted by duration the
    clips together count as they would in one, whichever way the recording was cut.
    """
    lengths_B = torch.tensor([len(mel) for mel in reference_mels_TC], device=model.device)
    mels = [model.normalize(mel.to(model.device)) for mel in reference_mels_TC]
    mean_BU, _ = model.voice_encoder(torch.nn.utils.rnn.pad_sequence(mels, batch_first=True), lengths_B)
    voice_BV = torch.cat((mean_BU, torch.stack([speech_spectrum(mel) for mel in mels])), dim=1)
    return (voice_BV * (lengths_B / lengths_B.sum())[:, None]).sum(0)


@torch.inference_mode()
def synthesize(
    model: GoyaForTextToSpeech,
    ids_BS: Tensor,
    token_lengths: Tensor,
    voice_BV: Tensor,
    speed: float = 1.0,
    *,
    seed: int = 0,
    first_number: int = 0,
    prompt: Prompt | None = None,
) -> list[Speech]:
    """Speak a batch of token sequences, each in its own voice.

    Args:
        ids_BS: padded token ids; token_lengths: [B].
        voice_BV: one voice an utterance.
        speed: 2.0 takes half the time; the words are made at the model's own pace (inference.tempo).
        seed, first_number: of the decoder's noise. Row b has that of (seed, first_number + b), whatever is beside it.
        prompt: a clip that all of them go on from; neither it nor the pause after it is among what is answered.

    A token is left when the probability that it has ended by now, from the product of the token-end
    probabilities, passes one half: the median of the duration that the model predicts.
    """
    every_step = decode_steps(
        model, ids_BS, token_lengths, voice_BV, seed=seed, first_number=first_number, prompt=prompt
    )
    steps, tokens = zip(*every_step, strict=True)
    mel_BTC, token_BN = torch.cat(steps, dim=1), torch.stack(tokens, dim=1)
    durations_BS = torch.zeros(ids_BS.shape[0], ids_BS.shape[1] + 1, dtype=torch.long, device=mel_BTC.device)
    durations_BS.scatter_add_(1, token_BN, torch.ones_like(token_BN))
    durations_BS = durations_BS[:, :-1]  # the last column counts the steps after an utterance's end
    ends_B = durations_BS.sum(1) * model.config.frames_per_step
    starts_B = torch.zeros_like(ends_B)
    if prompt:
        starts_B = durations_BS[:, PAUSE] * model.config.frames_per_step
        durations_BS[:, PAUSE] = 0
    real_BT = length_mask(ends_B, mel_BTC.shape[1]) & ~length_mask(starts_B, mel_BTC.shape[1])
    mel_BTC = model.spoken_mel(mel_BTC, real_BT[..., None], voice_BV)
    return [
        Speech(
            mel_at(mel_BTC[row, starts_B[row] : ends_B[row]], speed, model.config.frames_per_step),
            durations_at(durations_BS[row, : token_lengths[row]], speed),
        )
        for row in range(ids_BS.shape[0])
    ]


def decode_steps(
    model: GoyaForTextToSpeech,
    ids_BS: Tensor,
    token_lengths: Tensor,
    voice_BV: Tensor,
    *,
    seed: int = 0,
    first_number: int = 0,
    prompt: Prompt | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield, step by step, (normalized frames [B, r, C], the token each utterance spoke [B], S once it is done).

    The pause after a `prompt` counts as that of <bos>, token `PAUSE`.
    """
    config, device = model.config, ids_BS.device
    batch, longest, skipped = *ids_BS.shape, 0
    if prompt:
        ids_BS, token_lengths = prompt.before(ids_BS, token_lengths)
        skipped = len(prompt.ids_P) - UNSPOKEN
    context_BSD, _ = model.text_encoder(ids_BS, token_lengths)
    token, age = torch.zeros_like(token_lengths), torch.zeros_like(token_lengths)
    staying = torch.ones(batch, device=device)
    previous = torch.zeros(batch, config.n_mels, device=device)
    decoding = model.decoder.start(context_BSD, voice_BV, seed, range(first_number, first_number + batch))
    if prompt:
        decoding.read(prompt.previous_NC, prompt.token_N, prompt.steps_in_token_N)
        previous, token = prompt.last_C.expand(batch, -1), token + len(prompt.ids_P) - 1
    while (token < token_lengths).any():
        frames, logit = decoding.step(previous, token.clamp(max=ids_BS.shape[1] - 1), age)
        done = token >= token_lengths
        yield frames, torch.where(done, longest, token - skipped)
        staying = staying * (1 - end_probability(logit, config.stop_smoothing))
        leave = (staying < 0.5) | (age + 1 >= config.max_token_steps)
        token = token + (leave & ~done)
        age = torch.where(leave, 0, age + 1)
        staying = torch.where(leave, 1.0, staying)
        previous = frames[:, -1]


def end_probability(logits: Tensor, smoothing: float) -> Tensor:
    """The probability that a token ends, with the label smoothing of training taken out.

    Smoothed targets lie in [s / 2, 1 - s / 2]. Left as it is, the s / 2 of every step in which a pause goes on
    would end it early.
    """
    return ((torch.sigmoid(logits) - smoothing / 2) / (1 - smoothing)).clamp(0.0, 1.0)
