"""Speech that goes on from a clip and its text."""

import pytest
import torch

from data_pipeline.errors import UserError
from inference.generation import decode_steps, synthesize
from inference.prompt import MOST_S, UNSPOKEN, prompt_of, spoken_prompt
from inference.streaming import stream_mel
from modeling.processor import GoyaProcessor
from testing import small_runs

ROW = small_runs.rows()[0]
TEXT, LANGUAGE = ROW["text"], ROW["language"]
CLIP = ROW["audio"]["bytes"]


@pytest.fixture
def processor():
    return GoyaProcessor()


@pytest.fixture
def talker(model):
    """Its tokens take 4 steps each."""
    with torch.no_grad():
        model.decoder.end.weight.zero_()
        model.decoder.end.bias.fill_(-30.0)
    model.config.max_token_steps = 4
    return model


@pytest.fixture
def prompt(talker, processor):
    return prompt_of(talker, processor, CLIP, TEXT, LANGUAGE)


@pytest.fixture
def texts(processor):
    """Ids and lengths of three texts."""
    inputs = processor(text=["uno", "dos y tres", "cuatro"], language=LANGUAGE)
    return inputs["input_ids"], inputs["token_lengths"]


@pytest.fixture
def voices(talker):
    return torch.randn(3, talker.config.voice_size, generator=torch.Generator().manual_seed(2))


def test_the_prompt_is_the_clip_up_to_its_last_word(talker, processor, prompt):
    inputs = processor(text=TEXT, language=LANGUAGE, reference=CLIP)
    mel_TC, length = inputs["reference_mel"][0], int(inputs["token_lengths"][0])
    normal_TC = talker.normalize(mel_TC) - talker.normalize(inputs["reference_spectrum"])
    assert len(prompt.ids_P) == length and prompt.ids_P[:-1].tolist() == inputs["input_ids"][0, :-1].tolist()
    assert processor.tokenizer.convert_ids_to_tokens([int(prompt.ids_P[-1])]) == [" "]
    assert prompt.token_N.unique().tolist() == list(range(length - 1))  # each token, in order, but the end
    r, steps = talker.config.frames_per_step, len(prompt.token_N)
    assert torch.equal(prompt.previous_NC[0], torch.zeros(80))
    assert torch.equal(prompt.previous_NC[1:], normal_TC[r - 1 :: r][: steps - 1])
    assert torch.equal(prompt.last_C, normal_TC[r * steps - 1])


@torch.no_grad()
def test_speech_is_what_teacher_forcing_on_both_would_write(talker, prompt, texts, voices):
    """As if clip and speech were one utterance of the joined text."""
    ids, length = texts[0][1:2], texts[1][1:2]
    ids = ids[:, : int(length)]
    frames, tokens = zip(*decode_steps(talker, ids, length, voices[:1], prompt=prompt), strict=True)
    frames_BTC, spoken = torch.cat(frames, dim=1), torch.stack(tokens, dim=1)[0]
    before, r = len(prompt.ids_P), talker.config.frames_per_step
    joined = torch.cat((prompt.ids_P, ids[0, UNSPOKEN:]))[None]
    context_BSD, _ = talker.text_encoder(joined, torch.tensor([joined.shape[1]]))
    token_N = torch.cat((prompt.token_N, spoken + before - UNSPOKEN))
    steps_in_token_N = torch.cat((prompt.steps_in_token_N, torch.arange(4).repeat(int(length) - 1)))
    previous_NC = torch.cat((prompt.previous_NC, prompt.last_C[None], frames_BTC[0, r - 1 : -r : r]))
    expected, _ = talker.decoder(previous_NC[None], context_BSD[:, token_N], steps_in_token_N[None], voices[:1])
    torch.testing.assert_close(frames_BTC, expected[:, r * len(prompt.token_N) :], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_batched_and_streamed_speech_equals_one_by_one(talker, prompt, texts, voices, dropout):
    talker.decoder.prenet.probability = talker.config.prenet_dropout = dropout
    ids, lengths = texts
    together = synthesize(talker, ids, lengths, voices, seed=3, first_number=40, prompt=prompt)
    for row, speech in enumerate(together):
        ids_S, settings = ids[row, : lengths[row]], {"seed": 3, "prompt": prompt}
        [one] = synthesize(
            talker, ids_S[None], lengths[row, None], voices[row, None], first_number=40 + row, **settings
        )
        streamed = torch.cat(list(stream_mel(talker, ids_S, voices[row], number=40 + row, **settings)))
        # Neither the tag nor <bos>, at which the pause after the clip was, is heard.
        assert speech.durations_S.tolist() == one.durations_S.tolist() == [0, 0, *[4] * (len(ids_S) - 2)]
        assert len(speech.mel_TC) == talker.config.frames_per_step * int(speech.durations_S.sum())
        torch.testing.assert_close(speech.mel_TC, one.mel_TC, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(streamed, one.mel_TC, rtol=1e-3, atol=1e-3)


def test_the_text_s_own_language_is_spoken_after_a_clip_in_another(prompt, processor):
    inputs = processor(text="one two", language="fr")
    joined, lengths = prompt.before(inputs["input_ids"], inputs["token_lengths"])
    assert joined[0, 0] == inputs["input_ids"][0, 0] != prompt.ids_P[0] and len(joined[0]) == int(lengths)
    assert torch.equal(joined[0, 1 : len(prompt.ids_P)], prompt.ids_P[1:])
    assert torch.equal(joined[0, len(prompt.ids_P) :], inputs["input_ids"][0, UNSPOKEN:])


def test_a_prompt_changes_what_is_spoken(talker, prompt, texts, voices):
    [plain, gone_on] = (synthesize(talker, *texts, voices, prompt=each)[0].mel_TC for each in (None, prompt))
    assert not torch.allclose(plain[: len(gone_on)], gone_on[: len(plain)], atol=0.1)


def test_a_clip_that_cannot_hold_its_text_says_so(talker, processor):
    with pytest.raises(UserError, match="too short for its text"):
        prompt_of(talker, processor, torch.randn(22_050 // 4), TEXT * 3, LANGUAGE, sampling_rate=22_050)
    with pytest.raises(UserError, match=rf"lasts 1[0-9]\.\d s; expected {MOST_S:g} s at most"):
        prompt_of(talker, processor, torch.randn(22_050 * 12), TEXT, LANGUAGE, sampling_rate=22_050)


def test_a_text_belongs_to_one_clip(talker, processor):
    assert spoken_prompt(talker, processor, [CLIP, CLIP], None, LANGUAGE) is None
    for clips in ([], [CLIP, CLIP]):
        with pytest.raises(UserError, match=f"and {len(clips)} clips; expected one clip"):
            spoken_prompt(talker, processor, clips, TEXT, LANGUAGE)
