"""Speech while it is being made: log-mel as the decoder writes it, and the wave of it, chunk after chunk.

Put together, the chunks are what `synthesize` and a vocoder give at once.
Shapes: S text tokens, t frames of a chunk, C mel channels, V voice dimensions, N samples.
"""

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from inference.generation import decode_steps
from inference.prompt import PAUSE, Prompt
from inference.tempo import stream_at
from modeling.model import GoyaForTextToSpeech

# A first chunk to be heard soon. Each next one is twice as long, so that the context, which is computed again with
# every chunk, weighs less; and it is there in time where speech takes less than half as long to make as to hear.
FIRST_FRAMES = 16
MOST_FRAMES = 128


@torch.inference_mode()
def stream_mel(
    model: GoyaForTextToSpeech,
    ids_S: Tensor,
    voice_V: Tensor,
    speed: float = 1.0,
    *,
    seed: int = 0,
    number: int = 0,
    ahead_frames: int = 0,
    prompt: Prompt | None = None,
) -> Iterator[Tensor]:
    """Yield the log-mel [t, C] float32 of one utterance, each frame once its context is there.

    Args:
        seed, number, prompt: as in `synthesize`, number for first_number.
        ahead_frames: how much more the first chunk holds: what a vocoder needs to see ahead.
    """
    token_lengths = torch.tensor([len(ids_S)], device=ids_S.device)
    more = {"seed": seed, "first_number": number, "prompt": prompt}
    steps = decode_steps(model, ids_S[None], token_lengths, voice_V[None], **more)

    def finished(mel_TC: Tensor) -> Tensor:
        real_1T1 = torch.ones(1, len(mel_TC), 1, dtype=torch.bool, device=mel_TC.device)
        return model.spoken_mel(mel_TC[None], real_1T1, voice_V[None])[0]

    first_frames = FIRST_FRAMES + model.context_frames + math.ceil(ahead_frames * speed)
    spoken = (frames[0] for frames, token in steps if not (prompt and token[0] == PAUSE))
    mels = in_windows(_gathered(spoken, first_frames), model.context_frames, finished)
    yield from stream_at(mels, speed, model.config.frames_per_step)


def stream_wave(vocoder, mel_chunks: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the wave [N] of log-mel chunks [t, C]; of a vocoder without a finite context, all at the end."""
    if vocoder.context_frames is None:
        yield vocoder(torch.cat(list(mel_chunks)))
    else:
        yield from in_windows(mel_chunks, vocoder.context_frames, vocoder)


def in_windows(chunks: Iterable[Tensor], context: int, function: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    """Yield function(torch.cat(chunks)) piece by piece, as far as each chunk allows.

    `function` maps [T, ...] to [k * T, ...], and its output at a position depends on `context` positions to each
    side of it at most. At the two ends of a window that is none it is computed and not used.
    """
    held, given = None, 0  # what windows are cut from, and how much of it has had its output given out
    for chunk in chunks:
        held = chunk if held is None else torch.cat((held, chunk))
        ready = len(held) - context
        if ready > given:
            yield _piece(function(held), len(held), given, ready)
            past = max(0, ready - context)
            held, given = held[past:], ready - past
    if held is not None and len(held) > given:
        yield _piece(function(held), len(held), given, len(held))


def _piece(output: Tensor, length: int, start: int, end: int) -> Tensor:
    factor = len(output) // length
    return output[factor * start : factor * end]


def _gathered(steps_rC: Iterable[Tensor], first_frames: int) -> Iterator[Tensor]:
    """Steps put together to chunks: the first of `first_frames` or a little more, then larger ones."""
    wanted, parts, frames = first_frames, [], 0
    following = FIRST_FRAMES
    for step in steps_rC:
        parts.append(step)
        frames += len(step)
        if frames >= wanted:
            yield torch.cat(parts)
            following = min(2 * following, MOST_FRAMES)
            wanted, parts, frames = following, [], 0
    if parts:
        yield torch.cat(parts)
