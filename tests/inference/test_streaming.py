"""Chunks of speech put together are the speech that comes at once."""

import pytest
import torch

from inference import streaming
from inference.generation import decode_steps, synthesize
from inference.streaming import FIRST_FRAMES, in_windows, stream_mel, stream_wave


@pytest.fixture
def talker(model):
    """Its tokens take 10 steps each, and its pre-net drops."""
    with torch.no_grad():
        model.decoder.end.weight.zero_()
        model.decoder.end.bias.fill_(-30.0)
    model.config.max_token_steps = 10
    model.decoder.prenet.probability = 0.5
    return model


@pytest.mark.parametrize("speed", [0.3, 1.0, 1.5, 2.0, 4.0])
@pytest.mark.parametrize(("tokens", "steps"), [(1, 1), (1, 10), (3, 10), (11, 10)])
def test_streamed_mel_is_the_plain_one(talker, batch, tokens, steps, speed):
    talker.config.max_token_steps = steps
    ids, voice = batch["input_ids"][1, :tokens], torch.randn(1, talker.config.voice_size)
    (plain,) = synthesize(talker, ids[None], torch.tensor([tokens]), voice, speed, seed=5, first_number=2)
    chunks = list(stream_mel(talker, ids, voice[0], speed, seed=5, number=2))
    sizes = [len(chunk) for chunk in chunks]
    assert speed != 1 or sizes[:-2] == [
        FIRST_FRAMES * 2**n for n in range(len(sizes) - 2)
    ]  # the last two are what was left
    torch.testing.assert_close(torch.cat(chunks), plain.mel_TC, rtol=0, atol=1e-5)


def test_a_chunk_comes_before_the_rest_is_written(talker, batch, monkeypatch):
    """The decoder has taken no more steps than the first chunk, and what the post-net sees ahead, need."""
    taken = []

    def counted(*args, **kwargs):
        for step in decode_steps(*args, **kwargs):
            taken.append(1)
            yield step

    monkeypatch.setattr(streaming, "decode_steps", counted)
    voice = torch.zeros(talker.config.voice_size)
    for ahead in (0, 14):
        taken.clear()
        first = next(stream_mel(talker, batch["input_ids"][1], voice, ahead_frames=ahead))
        assert len(first) == FIRST_FRAMES + ahead
        assert len(taken) == (FIRST_FRAMES + ahead + 6) / talker.config.frames_per_step


@pytest.mark.parametrize("sizes", [[1], [3], [4], [1] * 12, [20, 1, 30], [5, 5, 5]])
@pytest.mark.parametrize("context", [0, 3])
def test_windows_of_a_convolution_are_the_whole(sizes, context):
    """A kernel of 2 * context + 1 that doubles the length; its zero padding belongs to the true ends only."""
    kernel = torch.randn(2, 1, 2 * context + 1)

    def function(x_T1):
        return torch.conv1d(x_T1.T[None], kernel, padding=context)[0].T.reshape(-1)

    whole = torch.randn(sum(sizes), 1)
    pieces = list(in_windows(whole.split(sizes), context, function))
    torch.testing.assert_close(torch.cat(pieces), function(whole), rtol=0, atol=1e-6)
    assert all(len(piece) for piece in pieces)


def test_of_nothing_comes_nothing():
    assert list(in_windows([], 3, lambda x: x)) == []


def test_a_vocoder_without_a_finite_context_hears_it_all():
    class Whole:
        context_frames = None

        def __call__(self, mel_TC):
            return mel_TC.cumsum(0).flatten()

    chunks = torch.arange(12.0).view(6, 2).split([2, 1, 3])
    [wave] = stream_wave(Whole(), chunks)
    assert wave.tolist() == Whole()(torch.cat(chunks)).tolist()
