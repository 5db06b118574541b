"""Free-running speech: neither going step by step nor neighbors change it, and it always arrives at the end."""

import itertools
import math

import pytest
import torch

from data_pipeline.recordings.speech import speech_spectrum
from inference.generation import decode_steps, encode_voice, synthesize
from modeling.transformer_decoder import FIRST_ROOM, NOISE_STEPS, TransformerSteps, prenet_noise


@pytest.fixture
def talker(model):
    """The small network, with tokens that take a handful of steps each."""
    with torch.no_grad():
        model.decoder.end.weight.mul_(1.5 / model.decoder.end.weight.norm())
        model.decoder.end.bias.fill_(-2.0)
    return model


@pytest.fixture
def voices(model):
    return torch.randn(3, model.config.voice_size, generator=torch.Generator().manual_seed(2))


def constant_end(model, probability: float) -> None:
    """Every step says with this probability that its token ends there."""
    with torch.no_grad():
        model.decoder.end.weight.zero_()
        model.decoder.end.bias.fill_(math.log(probability / (1 - probability)))


@torch.no_grad()
@pytest.mark.parametrize("steps", [15, 2 * FIRST_ROOM + 3])
def test_step_by_step_equals_the_whole_pass(model, steps):
    """Past what there is room for at first, too."""
    context, voice = torch.randn(2, 9, model.config.hidden_size), torch.randn(2, model.config.voice_size)
    previous, token = torch.randn(2, steps, model.config.n_mels), torch.randint(0, 9, (2, steps))
    age = torch.randint(0, 60, (2, steps))
    token_BND = context.gather(1, token[..., None].expand(-1, -1, model.config.hidden_size))
    expected_frames, expected_ends = model.decoder(previous, token_BND, age, voice)
    noise = itertools.repeat(torch.ones(2, 2, model.config.hidden_size))
    decoding = TransformerSteps(model.decoder, context, voice, noise)
    each = [decoding.step(previous[:, n], token[:, n], age[:, n]) for n in range(steps)]
    frames, ends = torch.cat([one for one, _ in each], dim=1), torch.stack([end for _, end in each], dim=1)
    torch.testing.assert_close(frames, expected_frames, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ends, expected_ends, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("read", [1, 14, FIRST_ROOM + 1, 2 * FIRST_ROOM])
def test_steps_that_were_read_at_once_are_as_if_taken_one_by_one(model, read):
    context, voice = torch.randn(2, 9, model.config.hidden_size), torch.randn(2, model.config.voice_size)
    steps, first = read + 3, slice(read)
    previous, token = torch.randn(steps, model.config.n_mels), torch.randint(0, 9, (steps,))
    age, noise = torch.randint(0, 60, (steps,)), torch.rand(2, steps, 2, model.config.hidden_size)
    one_by_one, at_once = (TransformerSteps(model.decoder, context, voice, iter(noise.unbind(1))) for _ in range(2))
    at_once.read(previous[first], token[first], age[first])
    for n in range(steps):
        step = previous[n].expand(2, -1), token[n].expand(2), age[n].expand(2)
        expected = one_by_one.step(*step)
        if n >= read:
            torch.testing.assert_close(at_once.step(*step), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_speech_is_what_teacher_forcing_on_it_would_write(talker, batch, voices):
    """The frames come back in as training puts them in: previous frame, token, age, position, voice."""
    constant_end(talker, 0.2)
    ids, lengths = batch["input_ids"][:1, :5], batch["token_lengths"][:1]
    frames, tokens = zip(*decode_steps(talker, ids, lengths, voices[:1]), strict=True)
    frames_BTC, token_BN = torch.cat(frames, dim=1), torch.stack(tokens, dim=1)
    _, previous_BNC = talker._in_steps(frames_BTC)
    context_BSD, _ = talker.text_encoder(ids, lengths)
    steps_in_token_BN = torch.cat([torch.arange(int(count)) for count in token_BN.unique(return_counts=True)[1]])[None]
    expected, _ = talker.decoder(previous_BNC, context_BSD[:, token_BN[0]], steps_in_token_BN, voices[:1])
    torch.testing.assert_close(frames_BTC, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_batched_speech_equals_one_by_one(talker, batch, voices, dropout):
    talker.decoder.prenet.probability = dropout
    together = synthesize(talker, batch["input_ids"], batch["token_lengths"], voices, seed=3, first_number=40)
    assert len({len(speech.mel_TC) for speech in together}) > 1, "the utterances are of one length by chance"
    for row, speech in enumerate(together):
        one, length = slice(row, row + 1), batch["token_lengths"][row]
        (single,) = synthesize(
            talker, batch["input_ids"][one, :length], length[None], voices[one], seed=3, first_number=40 + row
        )
        assert speech.durations_S.tolist() == single.durations_S.tolist()
        # To the last frame: the post-net sees none of what the decoder writes after it beside a longer one.
        torch.testing.assert_close(speech.mel_TC, single.mel_TC, rtol=1e-3, atol=1e-3)


def test_every_token_is_spoken_once_and_in_order(talker, batch, voices):
    lengths = batch["token_lengths"]
    with torch.inference_mode():
        _, tokens = zip(*decode_steps(talker, batch["input_ids"], lengths, voices), strict=True)
    for path, length in zip(torch.stack(tokens, dim=1).tolist(), lengths.tolist(), strict=True):
        spoken = [token for token in path if token < batch["input_ids"].shape[1]]
        assert spoken == sorted(spoken) and set(spoken) == set(range(length))
        assert set(path[len(spoken) :]) <= {batch["input_ids"].shape[1]}, "it spoke on after its end"
    for speech, length in zip(synthesize(talker, batch["input_ids"], lengths, voices), lengths, strict=True):
        assert len(speech.durations_S) == length and (speech.durations_S >= 1).all()
        frames = int(speech.durations_S.sum()) * talker.config.frames_per_step
        assert speech.mel_TC.shape == (frames, talker.config.n_mels) and speech.mel_TC.dtype == torch.float32


@pytest.mark.parametrize("logit", [-1e4, float("nan")])
def test_it_ends_whatever_the_logits_say(model, batch, voices, logit):
    model.config.max_token_steps = 7
    with torch.no_grad():
        model.decoder.end.weight.zero_()
        model.decoder.end.bias.fill_(logit)
    for speech in synthesize(model, batch["input_ids"], batch["token_lengths"], voices):
        assert (speech.durations_S == 7).all()


@pytest.mark.parametrize("probability", [0.999, 0.2, 0.05])
def test_a_token_takes_the_median_of_its_predicted_duration(model, batch, voices, probability):
    """With p at every step the duration is geometric, and its median the first k with (1 - p) ** k < 1/2."""
    constant_end(model, probability)
    median = math.ceil(math.log(0.5) / math.log(1 - probability))
    for speech in synthesize(model, batch["input_ids"], batch["token_lengths"], voices):
        assert (speech.durations_S == median).all()


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.9, 1.3, 2.0, 4.0])
def test_speed_is_the_ratio_of_the_lengths_however_sure_the_ends_are(talker, batch, voices, speed):
    """A trained model's probabilities are next to 0 and 1, which no exponent moves: here each token takes ten steps."""
    with torch.no_grad():
        talker.decoder.end.weight.zero_()
        talker.decoder.end.bias.fill_(-30.0)
    talker.config.max_token_steps = 10
    ids, lengths = batch["input_ids"], batch["token_lengths"]
    at_speeds = [synthesize(talker, ids, lengths, voices, pace) for pace in (1.0, speed)]
    for plain, other in zip(*at_speeds, strict=True):
        assert len(plain.mel_TC) / len(other.mel_TC) == pytest.approx(speed, rel=0.05)  # whole steps
        assert int(other.durations_S.sum()) * talker.config.frames_per_step == len(other.mel_TC)
        assert other.durations_S.float().mean() == pytest.approx(10 / speed, rel=0.05)
        # What is said is the same: at each place the mel of the plain speech there.
        place = ((torch.arange(len(other.mel_TC)) + 0.5) * speed - 0.5).round().long().clamp(0, len(plain.mel_TC) - 1)
        assert (other.mel_TC - plain.mel_TC[place]).abs().max() <= plain.mel_TC.diff(dim=0).abs().max()


def test_voice_of_a_clip_is_the_one_that_training_hears(model, batch, alone):
    spectra = [speech_spectrum(alone(row)["reference_mel"][0]) for row in range(3)]
    expected = model(**batch | {"reference_spectrum": torch.stack(spectra)}).voice_BV
    for row in range(3):
        voice = encode_voice(model, alone(row)["reference_mel"][0])
        torch.testing.assert_close(voice, expected[row], rtol=1e-4, atol=1e-5)
    assert (expected[0] - expected[1]).abs().max() > 1e-3


def test_the_voice_is_heard(talker, batch, voices):
    ids, lengths = batch["input_ids"][:1].expand(2, -1), torch.tensor([5, 5])
    constant_end(talker, 0.2)
    first, second = synthesize(talker, ids, lengths, voices[:2])
    assert (first.mel_TC - second.mel_TC).abs().max() > 0.01


def test_the_spectrum_of_a_voice_is_that_of_its_speech(talker, batch, voices):
    """And all else is equal, where the decoder does not look at it."""
    talker.decoder.voice.weight.data[:, talker.config.voice_dim :] = 0
    shift_C = torch.linspace(-1, 1, talker.config.n_mels)
    brighter = voices + torch.cat((torch.zeros(talker.config.voice_dim), shift_C))
    spoken = [synthesize(talker, batch["input_ids"], batch["token_lengths"], each) for each in (voices, brighter)]
    for dull, bright in zip(*spoken, strict=True):
        assert dull.durations_S.tolist() == bright.durations_S.tolist()
        expected_TC = dull.mel_TC + talker.config.mel_std * shift_C
        torch.testing.assert_close(bright.mel_TC, expected_TC, rtol=1e-4, atol=1e-4)


def test_several_clips_of_a_voice_count_by_their_length(model, batch, alone):
    clips = [alone(row)["reference_mel"][0] for row in range(3)]
    apart = torch.stack([encode_voice(model, clip) for clip in clips])
    weights = torch.tensor([len(clip) for clip in clips]) / sum(map(len, clips))
    torch.testing.assert_close(encode_voice(model, *clips), weights @ apart, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training, speaking, varies", [(0.5, 0.15, True), (0.5, 0.0, False), (0.0, 0.15, False)])
def test_a_seed_repeats_speech_whose_noise_is_no_more_than_in_training(
    talker, batch, voices, training, speaking, varies
):
    talker.config.prenet_dropout, talker.config.synthesis_dropout = training, speaking
    constant_end(talker, 0.2)

    def speak(seed: int) -> torch.Tensor:
        return synthesize(talker, batch["input_ids"], batch["token_lengths"], voices, seed=seed)[0].mel_TC

    assert torch.equal(speak(0), speak(0)) and torch.equal(speak(0), speak(1)) != varies


def test_noise_keeps_the_mean_and_is_each_utterances_own(talker):
    steps = list(itertools.islice(prenet_noise(talker.decoder.prenet, 0.25, 7, [0, 1]), 3 * NOISE_STEPS))
    noise = torch.stack(steps)  # [N, B, layers, D]
    assert noise.shape[1:] == (2, 2, talker.config.hidden_size)
    assert noise.unique().tolist() == [0.0, pytest.approx(1 / 0.75)]
    # Standard error of a mean of 3 * 64 * 64 draws: 0.005.
    assert noise.mean((0, 3)) == pytest.approx(torch.ones(2, 2), abs=0.03)
    agreement = [(a == b).float().mean() for a, b in ((noise[:, 0], noise[:, 1]), (noise[1:], noise[:-1]))]
    assert agreement == pytest.approx([0.625, 0.625], abs=0.03)  # 0.75 squared and 0.25 squared: by chance
