"""Each loss against a plain float64 computation of it; every loss of the registry keeps the contract.

Shapes: B utterances, T frames, C mel channels, N decoder steps, S tokens, V voice dimensions.
"""

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from modeling.losses import SUMS, LossShape, element_counts, loss_sums
from modeling.model import GoyaOutput

MEL_LENGTHS, TOKEN_LENGTHS = [7, 12, 9], [3, 5, 2]
STEPS = [4, 6, 5]


@pytest.fixture
def output() -> GoyaOutput:
    """What a network could have said about `targets`; nothing is special in it."""
    torch.manual_seed(0)
    scores_BNS = torch.randn(3, 6, 5)
    scores_BNS[torch.arange(5).expand(3, 6, 5) >= torch.tensor(TOKEN_LENGTHS)[:, None, None]] = -1e4
    return GoyaOutput(
        mel_before_BTC=2 * torch.randn(3, 12, 4),
        mel_after_BTC=2 * torch.randn(3, 12, 4),
        end_logits_BN=3 * torch.randn(3, 6),
        ends_BN=torch.rand(3, 6) < 0.4,
        voice_mean_BU=torch.randn(3, 8),
        voice_log_variance_BU=torch.randn(3, 8),
        alignment_BNS=scores_BNS.log_softmax(-1),
        durations_BS=torch.tensor([[1, 2, 1, 0, 0], [1, 1, 2, 1, 1], [4, 1, 0, 0, 0]]),
    )


@pytest.fixture
def targets() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        "mel": 2 * torch.randn(3, 12, 4),
        "mel_lengths": torch.tensor(MEL_LENGTHS),
        "token_lengths": torch.tensor(TOKEN_LENGTHS),
    }


def real(tensor, lengths) -> np.ndarray:
    """The real positions of a padded tensor, one after another, in float64."""
    rows = tensor.double().numpy()
    return np.concatenate([row[:length] for row, length in zip(rows, lengths, strict=True)])


def smoothed(mel_TC: np.ndarray, share: float) -> np.ndarray:
    """Frame by frame: `share` of it from its neighbors, where an end is its own missing neighbor."""
    last = len(mel_TC) - 1
    return np.stack(
        [
            (1 - share) * mel_TC[t] + share * (mel_TC[max(t - 1, 0)] + mel_TC[min(t + 1, last)]) / 2
            for t in range(len(mel_TC))
        ]
    )


def test_nothing_is_smoothed_unless_it_is_asked_for(output, targets):
    output.mel_before_BTC = output.mel_after_BTC = targets["mel"]
    output.end_logits_BN = torch.where(output.ends_BN, 1e4, -1e4)
    found = loss_sums(output, targets, LossShape())
    assert float(found["mel"]) == float(found["stop"]) == 0.0


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
@pytest.mark.parametrize("kind", ["l1", "huber"])
def test_mel(output, targets, kind, smoothing):
    delta = 0.6
    expected = 0.0
    for prediction in (output.mel_before_BTC, output.mel_after_BTC):
        target = np.concatenate(
            [
                smoothed(mel[:length].double().numpy(), smoothing)
                for mel, length in zip(targets["mel"], MEL_LENGTHS, strict=True)
            ]
        )
        error = np.abs(real(prediction, MEL_LENGTHS) - target)
        assert (error < delta).any() and (error > delta).any()
        huber = np.where(error <= delta, error**2 / 2, delta * (error - delta / 2)) / delta
        expected += 0.5 * (error if kind == "l1" else huber).sum()
    shape = LossShape(mel_loss=kind, huber_delta=delta, mel_smoothing=smoothing)
    assert SUMS["mel"](output, targets, shape).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.06])
def test_stop(output, targets, smoothing):
    logits = real(output.end_logits_BN, STEPS)
    probability = 1 / (1 + np.exp(-logits))
    target = np.where(real(output.ends_BN, STEPS) > 0, 1 - smoothing / 2, smoothing / 2)
    expected = -(target * np.log(probability) + (1 - target) * np.log(1 - probability)).sum()
    found = SUMS["stop"](output, targets, LossShape(stop_smoothing=smoothing))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_kl(output, targets):
    mean, log_variance = output.voice_mean_BU.double(), output.voice_log_variance_BU.double()
    expected = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum().item()
    assert SUMS["kl"](output, targets, LossShape()).item() == pytest.approx(expected, rel=1e-5)
    output.voice_mean_BU, output.voice_log_variance_BU = torch.zeros(3, 8), torch.zeros(3, 8)
    assert SUMS["kl"](output, targets, LossShape()).item() == 0


def all_paths(score_NS: np.ndarray) -> float:
    """Log of the summed probability of all monotonic paths from the first token to the last."""
    total_S = np.full(score_NS.shape[1] + 1, -np.inf)
    total_S[1] = score_NS[0, 0]
    for score_S in score_NS[1:]:
        total_S[1:] = np.logaddexp(total_S[1:], total_S[:-1]) + score_S
        total_S[0] = -np.inf
    return total_S[-1]


def test_alignment(output, targets):
    """Forward-sum over all paths, plus hardening along the searched one, a step's share of both."""
    expected = 0.0
    for row, (tokens, steps) in enumerate(zip(TOKEN_LENGTHS, STEPS, strict=True)):
        score_NS = output.alignment_BNS[row, :steps, :tokens].double().numpy()
        path_N = np.repeat(np.arange(tokens), output.durations_BS[row, :tokens].numpy())
        expected -= (all_paths(score_NS) + score_NS[np.arange(steps), path_N].sum()) / steps
    assert SUMS["alignment"](output, targets, LossShape()).item() == pytest.approx(expected, rel=1e-5)


def test_counts_are_of_real_elements():
    counts = element_counts(torch.tensor(MEL_LENGTHS), n_mels=4, frames_per_step=2)
    assert counts == {"mel": 28 * 4, "stop": 15, "kl": 28 * 4, "alignment": 3}


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("name", SUMS)
def test_every_loss_keeps_the_contract(model, batch, name, autocast):
    """A finite float32 scalar, under autocast too, that has a count and that a parameter can lower."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss = loss_sums(model(**batch), batch, LossShape())[name]
    assert loss.dtype == torch.float32 and loss.shape == () and loss.isfinite() and loss > 0
    count = element_counts(batch["mel_lengths"], model.config.n_mels, model.config.frames_per_step)[name]
    assert isinstance(count, int) and count > 0
    loss.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_every_count_is_of_a_loss():
    assert set(element_counts(torch.tensor([4]), 80, 2)) == set(SUMS)
