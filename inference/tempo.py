"""Faster and slower speech: a log-mel is read off at another pace, which leaves pitch and words as they are.

Token-end decisions of a trained model are nearly certain, so that scaling their probabilities moves next to nothing
(--speed 2 was 1.11 times as fast); what is made at the model's own pace and resampled along time has the pace asked
for, pauses included.
Shapes: T mel frames, t those of a chunk, C mel channels, S text tokens, r frames a decoder step.
"""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def steps_at(steps: int, speed: float) -> int:
    """How many decoder steps of the result so many of the original become: one at least."""
    return max(1, round(steps / speed))


def mel_at(mel_TC: Tensor, speed: float, frames_per_step: int) -> Tensor:
    """The log-mel at `speed` times its pace, r * steps_at(T / r) frames of it."""
    if speed == 1:
        return mel_TC
    steps = steps_at(len(mel_TC) // frames_per_step, speed)
    return _read_off(mel_TC, 0, 0, steps * frames_per_step, speed)


def durations_at(durations_S: Tensor, speed: float) -> Tensor:
    """Decoder steps of each token at that pace; their sum is that of `mel_at`."""
    if speed == 1:
        return durations_S
    ends_S = (durations_S.cumsum(0).cpu().double() / speed).round().long()  # a Mac's GPU has no float64
    ends_S[-1] = steps_at(int(durations_S.sum()), speed)
    return torch.diff(ends_S, prepend=ends_S.new_zeros(1)).to(durations_S.device)


def stream_at(chunks: Iterable[Tensor], speed: float, frames_per_step: int) -> Iterator[Tensor]:
    """As `mel_at`, of chunks [t, C] as they come: each gives what does not depend on the next."""
    if speed == 1:
        yield from chunks
        return
    held, first, given = None, 0, 0  # frames, the place of the first of them, and how many of the result were given
    for chunk in chunks:
        held = chunk if held is None else torch.cat((held, chunk))
        there = first + len(held)
        # Whose right neighbor is there, and of which the result may end after no fewer.
        least = steps_at(there // frames_per_step, speed) * frames_per_step
        ready = min(least, math.floor((there - 1.5) / speed - 0.5) + 1)
        if ready > given:
            yield _read_off(held, first, given, ready, speed)
            given = ready
        past = min(len(held) - 1, max(0, int((given + 0.5) * speed - 0.5) - first))
        held, first = held[past:], first + past
    if held is not None:
        end = steps_at((first + len(held)) // frames_per_step, speed) * frames_per_step
        if end > given:
            yield _read_off(held, first, given, end, speed)


def _read_off(held_TC: Tensor, first: int, start: int, end: int, speed: float) -> Tensor:
    """Frames [start, end) of the result, each between its two neighbors in the original, which begins at `first`."""
    place = (torch.arange(start, end, dtype=torch.float64) + 0.5) * speed - 0.5  # on the CPU, as in `durations_at`
    place = (place - first).clamp(0, len(held_TC) - 1)
    before = place.long()
    after = (before + 1).clamp(max=len(held_TC) - 1)
    share = (place - before).to(held_TC.dtype)[:, None]
    before, after, share = (each.to(held_TC.device) for each in (before, after, share))
    return torch.lerp(held_TC[before], held_TC[after], share)
