"""The network as a whole: sizes, starts, files, gradients, precision; no utterance sees its neighbors."""

import json

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from modeling import aligner
from modeling.configuration import SIZES, GoyaConfig
from modeling.layers import Attention, LayerNorm, SwiGLU, length_mask
from modeling.losses import SUMS, LossShape, loss_sums
from modeling.model import GoyaForTextToSpeech
from modeling.voice_encoder import sample_voice

MILLIONS = {"debug": (0.3, 1.5), "tiny": (8, 12), "small": (40, 60), "normal": (220, 320), "big": (650, 900)}
SHAPE = LossShape(mel_loss="huber", mel_smoothing=0.025, stop_smoothing=0.06)


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def backward(model: nn.Module, batch: dict) -> dict[str, torch.Tensor]:
    """Gradients of the sum of all losses."""
    model.zero_grad()
    sum(loss_sums(model(**batch), batch, SHAPE).values()).backward()
    return gradients(model)


@pytest.mark.parametrize("size", SIZES)
def test_size_has_its_parameters(size):
    with torch.device("meta"):
        model = GoyaForTextToSpeech(GoyaConfig.of_size(size))
    low, high = MILLIONS[size]
    assert low * 1e6 <= model.num_parameters() <= high * 1e6


def test_bad_config_is_refused():
    with pytest.raises(ValueError, match="unknown model size 'huge'.*debug, tiny"):
        GoyaConfig.of_size("huge")
    with pytest.raises(ValueError, match="hidden_size 100 is not a multiple of head_dim 64"):
        GoyaConfig(hidden_size=100)


def test_saves_safetensors_and_loads_the_same(model, batch, tmp_path):
    """Bit-equal weights: nothing is initialized anew after loading.

    Outputs are bit-equal once the weights lie in torch's own memory: safetensors maps the file, where tensors
    are aligned otherwise, and kernels then sum in another order.
    """
    model.config.voices = {"anna": [0.5] * model.config.voice_size}
    model.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}
    loaded, report = GoyaForTextToSpeech.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert not loaded.training
    assert loaded.config.to_dict() | {"_name_or_path": ""} == model.config.to_dict() | {"_name_or_path": ""}
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    copied = GoyaForTextToSpeech(loaded.config).eval()
    copied.load_state_dict(loaded.state_dict())
    expected, found, exactly = model(**batch), loaded(**batch), copied(**batch)
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-4)
        assert torch.equal(exactly[name], tensor), name


def test_shards_load_the_same(model, tmp_path):
    model.save_pretrained(tmp_path, max_shard_size="1MB")
    shards = set(json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"].values())
    assert len(shards) > 1 and all(name.endswith(".safetensors") for name in shards)
    loaded = GoyaForTextToSpeech.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in model.state_dict().items())


def assert_scale(weight: torch.Tensor, std: float) -> None:
    """A sample of n normal values has the wanted standard deviation within five of its own, 1 / sqrt(2 n)."""
    assert weight.std().item() == pytest.approx(std, rel=5 * (2 * weight.numel()) ** -0.5)
    assert abs(weight.mean().item()) < 5 * std * weight.numel() ** -0.5


def test_starting_weights_have_their_scale():
    torch.manual_seed(0)
    model = GoyaForTextToSpeech(GoyaConfig.of_size("debug"))
    depth = model.config.encoder_layers + model.config.decoder_layers
    branches = [m.out for m in model.modules() if isinstance(m, Attention | SwiGLU)]
    assert len(branches) == 2 * depth
    special = [*branches, model.decoder.frames, model.decoder.postnet.last]
    for branch in branches:
        assert_scale(branch.weight, (2 * depth * branch.in_features) ** -0.5)
    assert_scale(model.decoder.frames.weight, 0.1 * model.decoder.frames.in_features**-0.5)
    assert not model.decoder.postnet.last.weight.any()
    for module in model.modules():
        if isinstance(module, LayerNorm):
            assert (module.weight == 1).all()
        elif isinstance(module, nn.Embedding):
            assert_scale(module.weight, 1.0)
        elif isinstance(module, nn.Linear | nn.Conv1d) and not any(module is one for one in special):
            assert_scale(module.weight, module.weight[0].numel() ** -0.5)
        if isinstance(module, nn.Linear | nn.Conv1d) and module.bias is not None:
            assert not module.bias.any()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_gradient_checkpointing_changes_no_gradient(model, batch, dropout):
    model.train()
    model.decoder.prenet.probability = dropout
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    calls = []
    model.decoder.layers[0].attention.register_forward_hook(lambda *_: calls.append(1))
    torch.manual_seed(3)
    expected = backward(model, batch)
    assert len(calls) == 1
    model.activation_checkpointing_enable()
    torch.manual_seed(3)
    found = backward(model, batch)
    assert len(calls) == 3, "the layer was not computed again on the way back"
    assert found.keys() == expected.keys() == dict(model.named_parameters()).keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6 * float(gradient.abs().max()))


def test_no_utterance_sees_its_neighbors(model, batch, alone):
    output = model(**batch)
    for row in range(len(batch["mel"])):
        single = model(**alone(row))
        for name, expected in single.items():
            found = output[name][row][tuple(slice(size) for size in expected.shape[1:])]
            assert found.detach().numpy() == pytest.approx(expected[0].detach().numpy(), rel=1e-4, abs=1e-4), name


def test_losses_and_gradients_of_a_batch_are_sums_over_its_utterances(model, batch, alone):
    singles = [alone(row) for row in range(len(batch["mel"]))]
    together = loss_sums(model(**batch), batch, SHAPE)
    for name in SUMS:
        separately = sum(loss_sums(model(**one), one, SHAPE)[name] for one in singles)
        assert together[name].item() == pytest.approx(separately.item(), rel=1e-5), name
    expected = [backward(model, one) for one in singles]
    for name, gradient in backward(model, batch).items():
        total = sum(one[name] for one in expected)
        torch.testing.assert_close(gradient, total, rtol=1e-3, atol=1e-5 * float(total.abs().max()) + 1e-6)


@torch.no_grad()
def test_what_padding_holds_does_not_matter(model, batch):
    """The same batch with other garbage in its padding gives the same losses."""
    before = loss_sums(model(**batch), batch, SHAPE)
    for row in range(len(batch["mel"])):
        batch["mel"][row, batch["mel_lengths"][row] :] = -200.0
        batch["reference_mel"][row, batch["reference_lengths"][row] :] = -200.0
        batch["input_ids"][row, batch["token_lengths"][row] :] = 3
    after = loss_sums(model(**batch), batch, SHAPE)
    assert {name: float(value) for name, value in before.items()} == pytest.approx(
        {name: float(value) for name, value in after.items()}, rel=1e-6
    )


def test_the_decoder_does_not_see_the_frames_it_has_to_write(model, batch):
    """Other frames from step 10 on change no step up to the tenth, whose input is the frame before it."""
    steps, r = 10, model.config.frames_per_step
    token = torch.randn(3, 20, model.config.hidden_size)
    previous = torch.randn(3, 20, model.config.n_mels)
    age, voice = torch.arange(20).expand(3, 20), torch.randn(3, model.config.voice_size)
    frames, ends = model.decoder(previous, token, age, voice)
    previous[:, steps:] += 1.0
    other_frames, other_ends = model.decoder(previous, token, age, voice)
    torch.testing.assert_close(other_frames[:, : steps * r], frames[:, : steps * r])
    torch.testing.assert_close(other_ends[:, :steps], ends[:, :steps])
    assert (other_frames[:, steps * r :] - frames[:, steps * r :]).abs().max() > 0.01

    steps_BNX, previous_BNC = model._in_steps(batch["mel"])
    assert not previous_BNC[:, 0].any()
    torch.testing.assert_close(previous_BNC[:, 1:], steps_BNX[:, :-1, -model.config.n_mels :])


def test_bf16_autocast_keeps_the_sensitive_parts_in_float32(model, batch):
    seen = {LayerNorm: set(), nn.Linear: set()}

    def note(module, _, output):
        seen[type(module)].add(output.dtype)

    for module in model.modules():
        if type(module) in seen and module is not model.voice_encoder.posterior:
            module.register_forward_hook(note)
    exact = model(**batch)
    for dtypes in seen.values():
        dtypes.clear()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(**batch)
        losses = loss_sums(output, batch, SHAPE)
    assert seen == {LayerNorm: {torch.float32}, nn.Linear: {torch.bfloat16}}
    floats = {name: tensor.dtype for name, tensor in output.items() if tensor.is_floating_point()}
    assert set(floats.values()) == {torch.float32}, floats
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    # A soft alignment rounded to bf16 (8 bits) would be off by 1e-3.
    assert output.alignment_BNS[1].detach().double().exp().sum(-1).numpy() == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(output.voice_mean_BU, exact.voice_mean_BU, rtol=0.05, atol=0.05)


def test_bf16_autocast_rounds_nothing_inside_the_sensitive_parts(model, batch):
    """Norms, alignment, the voice's Gaussian and losses, each against float64 on what it was given."""
    norms = [module for module in model.modules() if isinstance(module, LayerNorm)]
    last_conv, posterior = model.voice_encoder.convs[-1], model.voice_encoder.posterior
    seen = {}
    for module in (*norms, last_conv, posterior, model.aligner.mel_out, model.aligner.text_out):
        module.register_forward_hook(lambda module, given, made: seen.update({module: (given[0], made)}))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(**batch)
        losses = loss_sums(output, batch, LossShape())

    for norm in norms:
        given, made = seen[norm]
        assert_exact(made, F.layer_norm(given.double(), given.shape[-1:], norm.weight.double(), eps=norm.eps))

    mask = length_mask(batch["reference_lengths"], batch["reference_mel"].shape[1])[..., None]
    pooled, made = seen[posterior]
    features = (F.silu(seen[last_conv][1]) * mask).double()
    mean = features.sum(1) / mask.sum(1)
    spread = ((features - mean[:, None]).square() * mask).sum(1) / mask.sum(1)
    assert_exact(pooled, torch.cat((mean, (spread + 1e-5).sqrt()), dim=-1))
    assert_exact(made, F.linear(pooled.double(), posterior.weight.double(), posterior.bias.double()))

    query, key = (seen[module][1].double() for module in (model.aligner.mel_out, model.aligner.text_out))
    tokens, steps = batch["token_lengths"], -(-batch["mel_lengths"] // model.config.frames_per_step)
    score = -(query[:, :, None] - key[:, None]).square().sum(-1) * query.shape[-1] ** -0.5
    score = score.log_softmax(-1) + aligner.beta_binomial_prior(tokens, steps, score.shape).double()
    score = score.masked_fill(~length_mask(tokens, key.shape[1])[:, None], -torch.inf).log_softmax(-1)
    real = length_mask(steps, score.shape[1])[..., None] & length_mask(tokens, score.shape[2])[:, None]
    assert_exact(output.alignment_BNS[real], score[real])

    real_frames = length_mask(batch["mel_lengths"], batch["mel"].shape[1])[..., None]
    both = [(mel.double() - batch["mel"]).abs() for mel in (output.mel_before_BTC, output.mel_after_BTC)]
    assert_exact(losses["mel"], (sum(both) / 2 * real_frames).sum())
    each = F.binary_cross_entropy_with_logits(output.end_logits_BN.double(), output.ends_BN.double(), reduction="none")
    assert_exact(losses["stop"], each[length_mask(steps, each.shape[1])].sum())
    mean, log_variance = output.voice_mean_BU.double(), output.voice_log_variance_BU.double()
    assert_exact(losses["kl"], 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum())
    rows = zip(output.alignment_BNS.double(), output.durations_BS, tokens, steps, strict=True)
    assert_exact(losses["alignment"], sum(alignment_loss(one[:n, :s], durations[:s]) for one, durations, s, n in rows))


def alignment_loss(log_prob_NS: torch.Tensor, durations_S: torch.Tensor) -> torch.Tensor:
    """Forward-sum and hardening of one utterance, in nats per step, by recursion over the steps."""
    paths_S = torch.full_like(log_prob_NS[0], -torch.inf)
    paths_S[0] = log_prob_NS[0, 0]
    for row_S in log_prob_NS[1:]:
        paths_S = row_S + torch.logaddexp(paths_S, F.pad(paths_S, (1, 0), value=-torch.inf)[:-1])
    token_N = torch.arange(len(durations_S)).repeat_interleave(durations_S)
    hard = log_prob_NS.gather(1, token_N[:, None]).sum()
    return -(paths_S[-1] + hard) / len(log_prob_NS)


def assert_exact(found: torch.Tensor, expected: torch.Tensor) -> None:
    """To float32's precision; bf16's is 1e-2."""
    torch.testing.assert_close(found.double(), expected.double(), rtol=2e-5, atol=2e-5)


def test_training_draws_the_voice_and_evaluation_takes_its_mean(model, batch):
    with torch.no_grad():
        assert torch.equal(model(**batch).mel_after_BTC, model(**batch).mel_after_BTC)
        model.train()
        assert not torch.equal(model(**batch).mel_after_BTC, model(**batch).mel_after_BTC)
    torch.manual_seed(0)
    draws = sample_voice(torch.full((20_000, 2), 3.0), torch.tensor([0.0, 2 * torch.log(torch.tensor(0.2))]))
    assert draws.mean(0).tolist() == pytest.approx([3.0, 3.0], abs=0.04)
    assert draws.std(0).tolist() == pytest.approx([1.0, 0.2], rel=0.03)


def test_trains_after_an_evaluation_in_inference_mode(model, batch):
    """Tensors that the prior keeps between calls may have been made in inference mode."""
    aligner._log_factorials.cache_clear()
    with torch.inference_mode():
        model(**batch)
    assert all(gradient.isfinite().all() for gradient in backward(model.train(), batch).values())


def test_a_few_steps_lower_every_loss(model, batch):
    """The losses reach the parameters that can lower them: a batch is learned by heart."""
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    first = None
    for _ in range(25):
        sums = loss_sums(model(**batch), batch, LossShape())
        first = first or {name: float(value.detach()) for name, value in sums.items()}
        optimizer.zero_grad()
        (sums["mel"] / 80 + sums["stop"] + sums["kl"] + sums["alignment"]).backward()
        optimizer.step()
    assert all(float(sums[name].detach()) < 0.9 * first[name] for name in first), (first, sums)


def test_a_channel_of_recording_and_clip_does_not_reach_decoder_and_aligner(model, batch):
    """Both through the same filter: what is written is filtered, and nothing else changes, but for the posterior."""
    model.decoder.voice.weight.data.zero_()
    filter_C = torch.linspace(-2, 1, 80)
    filtered = batch | {name: batch[name] + filter_C for name in ("mel", "reference_mel", "reference_spectrum")}
    plain, other = model(**batch), model(**filtered)
    assert torch.equal(plain.durations_BS, other.durations_BS)
    torch.testing.assert_close(other.end_logits_BN, plain.end_logits_BN, rtol=1e-3, atol=1e-4)
    for row, length in enumerate(batch["mel_lengths"]):
        expected = plain.mel_after_BTC[row, :length] + filter_C
        torch.testing.assert_close(other.mel_after_BTC[row, :length], expected, rtol=1e-3, atol=1e-3)
