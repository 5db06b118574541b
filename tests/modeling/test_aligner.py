"""The alignment against enumeration of every monotonic path, loops, and the formula of the prior.

Shapes: B utterances, N decoder steps, S tokens.
"""

from itertools import combinations
from math import exp, lgamma

import numpy as np
import pytest
import torch

from modeling.aligner import NO_PATH, _log_factorials, beta_binomial_prior, forward_sum, monotonic_search, token_of_step
from testing.no_float64 import gpu_without_float64

LENGTHS = [(1, 1), (4, 4), (1, 6), (3, 7), (5, 9), (2, 8), (4, 5)]  # (tokens, steps) of each utterance


def all_durations(tokens: int, steps: int):
    """Every way to give each token one step or more."""
    for cuts in combinations(range(1, steps), tokens - 1):
        yield np.diff([0, *cuts, steps])


def path_score(score_NS, durations) -> float:
    return sum(score_NS[n][s] for n, s in enumerate(np.repeat(np.arange(len(durations)), durations)))


@pytest.fixture
def padded():
    """Log-probabilities of all of LENGTHS in one batch, normalized over real tokens; padding is garbage."""
    tokens_B, steps_B = (torch.tensor(column) for column in zip(*LENGTHS, strict=True))
    torch.manual_seed(0)
    logits_BNS = torch.full((len(LENGTHS), max(steps_B), max(tokens_B)), 50.0)
    for row, (tokens, steps) in enumerate(LENGTHS):
        logits_BNS[row, :steps, :tokens] = (2 * torch.randn(steps, tokens)).log_softmax(-1)
    return logits_BNS, tokens_B, steps_B


def test_search_finds_the_best_of_all_paths(padded):
    score_BNS, tokens_B, steps_B = padded
    durations_BS = monotonic_search(score_BNS, tokens_B, steps_B)
    for row, (tokens, steps) in enumerate(LENGTHS):
        score_NS = score_BNS[row].double().numpy()
        best = max(all_durations(tokens, steps), key=lambda durations: path_score(score_NS, durations))
        assert durations_BS[row, :tokens].tolist() == best.tolist()
        assert not durations_BS[row, tokens:].any()


def test_search_survives_impossible_scores():
    """Each token still gets its step where the scores would forbid it."""
    score_BNS = torch.full((1, 6, 3), NO_PATH)
    score_BNS[0, :, 0] = 0.0
    durations_BS = monotonic_search(score_BNS, torch.tensor([3]), torch.tensor([6]))
    assert durations_BS.tolist() == [[4, 1, 1]]


def test_search_refuses_more_tokens_than_steps():
    with pytest.raises(AssertionError, match="more tokens than decoder steps"):
        monotonic_search(torch.zeros(1, 2, 3), torch.tensor([3]), torch.tensor([2]))


def test_forward_sum_is_the_sum_over_all_paths(padded):
    score_BNS, tokens_B, steps_B = padded
    score_BNS = score_BNS.masked_fill(torch.arange(score_BNS.shape[2]) >= tokens_B[:, None, None], NO_PATH)
    loss_B = forward_sum(score_BNS, tokens_B, steps_B)
    for row, (tokens, steps) in enumerate(LENGTHS):
        score_NS = score_BNS[row].double().numpy()
        scores = [path_score(score_NS, durations) for durations in all_durations(tokens, steps)]
        assert loss_B[row].item() == pytest.approx(-np.logaddexp.reduce(scores), rel=1e-5, abs=1e-5)


def naive_forward_sum(log_prob_NS: torch.Tensor) -> torch.Tensor:
    """The recursion over steps, differentiable."""
    nowhere = torch.tensor(-torch.inf, dtype=log_prob_NS.dtype)
    alpha = [log_prob_NS[0, 0]] + [nowhere] * (log_prob_NS.shape[1] - 1)
    for row in log_prob_NS[1:]:
        moved = [alpha[0]] + [
            stay if move == -torch.inf else move if stay == -torch.inf else torch.logaddexp(stay, move)
            for move, stay in zip(alpha, alpha[1:], strict=False)
        ]
        alpha = [score + log_prob for score, log_prob in zip(moved, row, strict=True)]
    return -alpha[-1]


def test_forward_sum_gradient_is_that_of_the_recursion(padded):
    logits_BNS, tokens_B, steps_B = padded
    logits_BNS = logits_BNS.masked_fill(torch.arange(logits_BNS.shape[2]) >= tokens_B[:, None, None], NO_PATH)
    logits_BNS.requires_grad_()
    weights_B = torch.linspace(0.5, 2.0, len(LENGTHS))  # not ones: the gradient has to be scaled by them
    (forward_sum(logits_BNS.log_softmax(-1), tokens_B, steps_B) * weights_B).sum().backward()
    for row, (tokens, steps) in enumerate(LENGTHS):
        reference = logits_BNS[row, :steps, :tokens].detach().double().requires_grad_()
        (naive_forward_sum(reference.log_softmax(-1)) * weights_B[row]).backward()
        torch.testing.assert_close(logits_BNS.grad[row, :steps, :tokens], reference.grad.float(), rtol=1e-4, atol=1e-5)
        assert not logits_BNS.grad[row, steps:].any()


def test_token_of_step_counts_like_a_loop():
    durations = [[2, 1, 4, 0], [1, 1, 1, 1], [3, 0, 0, 0]]
    steps = 9
    expected = [[], [], []]
    for durations_S in durations:
        path = [
            (token, age, age == duration - 1) for token, duration in enumerate(durations_S) for age in range(duration)
        ]
        last, age, _ = path[-1]
        path += [(last, age + late, False) for late in range(1, steps - len(path) + 1)]
        for column, values in zip(expected, zip(*path, strict=True), strict=True):
            column.append(list(values))
    token_BN, steps_in_token_BN, ends_BN = token_of_step(torch.tensor(durations), steps)
    assert [token_BN.tolist(), steps_in_token_BN.tolist(), ends_BN.tolist()] == expected
    assert ends_BN.sum(1).tolist() == [3, 4, 1]  # one end for each token


def log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def test_prior_is_the_beta_binomial():
    lengths = [(1, 3), (4, 9), (7, 7), (60, 300)]
    tokens_B, steps_B = (torch.tensor(column) for column in zip(*lengths, strict=True))
    prior_BNS = beta_binomial_prior(tokens_B, steps_B, (len(lengths), 300, 60))
    for row, (tokens, steps) in enumerate(lengths):
        expected_NS = [
            [
                lgamma(tokens) - lgamma(k + 1) - lgamma(tokens - k)
                + log_beta(k + n, tokens - 1 - k + steps + 1 - n) - log_beta(n, steps + 1 - n)
                for k in range(tokens)
            ]
            for n in range(1, steps + 1)
        ]  # fmt: skip
        found_NS = prior_BNS[row, :steps, :tokens]
        torch.testing.assert_close(found_NS, torch.tensor(expected_NS), rtol=1e-4, atol=3e-3)
        assert found_NS.double().exp().sum(-1).numpy() == pytest.approx(1.0, abs=3e-3)
    assert exp(prior_BNS[0, 2, 0]) == pytest.approx(1.0)


def test_prior_is_made_where_there_is_no_float64():
    with gpu_without_float64() as gpu:
        tokens_B, steps_B = torch.ones(2, dtype=torch.long, device=gpu), torch.ones(2, dtype=torch.long, device=gpu)
        assert beta_binomial_prior(tokens_B, steps_B, (2, 5, 3)).device == gpu
    _log_factorials.cache_clear()  # of a table without numbers


def test_prior_agrees_with_scipy():
    betabinom = pytest.importorskip("scipy.stats").betabinom
    prior_NS = beta_binomial_prior(torch.tensor([12]), torch.tensor([40]), (1, 40, 12))[0]
    n = np.arange(1, 41)[:, None]
    assert prior_NS.numpy() == pytest.approx(betabinom(11, n, 41 - n).logpmf(np.arange(12)), abs=2e-3)


def test_scores_are_log_probabilities_over_real_tokens(model, batch):
    output = model(**batch)
    for row, (tokens, frames) in enumerate(zip(batch["token_lengths"], batch["mel_lengths"], strict=True)):
        steps = -(-int(frames) // model.config.frames_per_step)
        probability_NS = output.alignment_BNS[row, :steps].double().exp()
        assert probability_NS[:, :tokens].sum(-1).detach().numpy() == pytest.approx(1.0, abs=1e-5)
        assert not probability_NS[:, tokens:].any()
        assert output.durations_BS[row].sum() == steps and (output.durations_BS[row, :tokens] > 0).all()
