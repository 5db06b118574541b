"""The monotonic search as one Triton kernel, so that no micro-batch on a GPU waits for the host (modeling.aligner).

A program an utterance, whose tokens lie along the block. The additions are those of the search in numpy, in float32 and
in the same order, so that the two agree to the last step, infinities and NaN among the scores included.
Shapes: B utterances, N decoder steps, S text tokens.
"""

from importlib import import_module

import torch
from torch import Tensor

# By name: transformers wants everything installed that a model's files import, and torch brings Triton only with CUDA.
triton, tl = import_module("triton"), import_module("triton.language")

SMALLEST_BLOCK, TOKENS_A_WARP, MOST_WARPS = 32, 128, 8
MOVES_A_WORD = 32


def search(log_prob_BNS: Tensor, tokens_B: Tensor, steps_B: Tensor) -> Tensor:
    """`modeling.aligner.monotonic_search`, on the device of its arguments and without waiting for it.

    So it cannot refuse an utterance with more tokens than steps: that one's first tokens get no step.
    """
    batch, steps, tokens = log_prob_BNS.shape
    score_BNS = log_prob_BNS.float().contiguous()
    block = max(SMALLEST_BLOCK, triton.next_power_of_2(tokens))
    best = score_BNS.new_empty(batch, 2, block)
    moves = torch.empty(batch, triton.cdiv(steps, MOVES_A_WORD), block, dtype=torch.int32, device=score_BNS.device)
    durations_BS = torch.zeros(batch, tokens, dtype=torch.int64, device=score_BNS.device)
    warps = max(1, min(MOST_WARPS, block // TOKENS_A_WARP))
    with torch.cuda.device_of(score_BNS):  # Triton starts kernels on the current device
        _search[(batch,)](
            score_BNS, tokens_B, steps_B, best, moves, durations_BS, steps, tokens, BLOCK=block, num_warps=warps
        )  # fmt: skip
    return durations_BS


# Compiled once for each BLOCK: new lengths come with almost every batch.
@triton.jit(do_not_specialize=["steps", "tokens"])
def _search(score, token_count, step_count, best, moves, durations, steps, tokens, BLOCK: tl.constexpr):
    """`best` [B, 2, BLOCK] hands each token's path to its neighbor; bit n % 32 of `moves` [B, N / 32, BLOCK] says that
    the best path to a token at step n was on the token before at step n - 1."""
    utterance = tl.program_id(0).to(tl.int64)
    score += utterance * steps * tokens
    best += utterance * 2 * BLOCK
    moves += utterance * tl.cdiv(steps, 32) * BLOCK
    durations += utterance * tokens
    last_step = tl.load(step_count + utterance).to(tl.int32) - 1
    token = tl.arange(0, BLOCK)

    path = tl.where(token == 0, tl.load(score), float("-inf"))
    bits = tl.zeros((BLOCK,), tl.int32)
    for n in range(1, last_step + 1):
        here = tl.load(score + n * tokens + token, mask=token < tokens, other=float("-inf"))
        # Two rows in turn: who is a step ahead does not write over what its neighbor still reads.
        row = best + n % 2 * BLOCK + token
        tl.store(row, path)
        tl.debug_barrier()
        before = tl.load(row - 1, mask=token > 0, other=float("-inf"))
        has_moved = before > path
        path = tl.where(has_moved | (before != before), before, path) + here  # NaN stays, as in numpy's maximum
        bits |= has_moved.to(tl.int32) << n % 32
        if (n % 32 == 31) | (n == last_step):
            tl.store(moves + n // 32 * BLOCK + token, bits)
            bits = tl.zeros((BLOCK,), tl.int32)

    tl.debug_barrier()
    at = tl.load(token_count + utterance) - 1
    duration = 0
    for back in range(0, last_step + 1):
        n = last_step - back
        duration += 1
        tl.store(durations + at, duration)  # the last of a token's stores is that of its first step
        word = tl.load(moves + n // 32 * BLOCK + at, mask=n > 0, other=0)
        has_moved = (word >> n % 32) & 1
        at -= has_moved
        duration *= 1 - has_moved
