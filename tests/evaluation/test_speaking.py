"""Which sentences are spoken, in whose voice, and that speaking disturbs nothing."""

import itertools

import pytest
import torch

from data_pipeline.errors import UserError
from data_pipeline.utterance import Utterance
from evaluation import speaking
from evaluation.speaking import choose_sentences
from inference.synthesizer import speak
from inference.voices import voice_for
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor


def row(name: str, text: str = "three words here", language: str | None = "en") -> Utterance:
    return Utterance(name, text, b"", None, language)


def test_languages_take_turns():
    rows = [row("e1"), row("e2"), row("e3"), row("f1", language="fr")] + [row(f"s{n}", language="es") for n in (1, 2)]
    assert [one.id for one in choose_sentences(rows, 5)] == ["e1", "f1", "s1", "e2", "s2"]
    assert [one.id for one in choose_sentences(rows, 9, "es")] == ["s1", "s2"]
    assert choose_sentences([], 3) == []


def test_one_or_two_words_are_no_sentence():
    assert [one.id for one in choose_sentences([row("a", "two words"), row("b"), row("c", "")], 3)] == ["b"]


def test_where_words_have_no_spaces_between_them_letters_tell():
    texts = ["今天天气很好", "สวัสดีครับ", "谢谢", "東京へ行く"]
    chosen = choose_sentences([row(text, text, "zh") for text in texts], 9)
    assert [one.id for one in chosen] == ["今天天气很好", "สวัสดีครับ"]


def test_an_endless_corpus_is_not_read_to_its_end():
    assert len(choose_sentences((row(f"{n}") for n in itertools.count()), 3)) == 3
    few = itertools.chain((row(f"{n}", "no") for n in range(speaking.LOOKED_AT)), [row("late")])
    assert choose_sentences(few, 3) == []


@pytest.fixture(scope="module")
def model() -> GoyaForTextToSpeech:
    torch.manual_seed(0)
    voices = {"anna-en": [1.0] * 144, "anna-fr": [2.0] * 144, "ben-en": [3.0] * 144, "es": [4.0] * 144}
    return GoyaForTextToSpeech(GoyaConfig.of_size("debug", voices=voices, max_token_steps=3))


@pytest.mark.parametrize(("speaker", "language", "value"), [
    ("anna", "fr", 2.0),
    ("ben", "en", 3.0),
    ("ben", "fr", 3.0),  # of another language, rather than of another person
    (None, "en", 1.0),
    (None, "es", 4.0),
    (None, "fa", 1.0),
    (None, None, 1.0),
])  # fmt: skip
def test_a_voice_is_of_the_speaker_else_of_the_language_else_any(model, speaker, language, value):
    assert voice_for(model, speaker, language)[0] == value


def test_an_unknown_speaker_is_an_error_and_no_voice_at_all_the_middle(model):
    with pytest.raises(UserError, match="no voice 'nobody'; it knows: anna-en, anna-fr, ben-en, es"):
        voice_for(model, "nobody", "en")
    without = GoyaForTextToSpeech(GoyaConfig.of_size("debug"))
    assert not voice_for(without, None, "en").any()


def test_speaking_is_repeatable_and_disturbs_no_training(model):
    model.train()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    texts, voices = ["one", "and two"], [torch.zeros(144), torch.ones(144)]
    first, again, other = (speak(model, GoyaProcessor(), texts, ["en", "en"], voices, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before) and model.training
    for one, same, another in zip(first, again, other, strict=True):
        assert torch.equal(one.speech.mel_TC, same.speech.mel_TC)
        assert not torch.equal(one.speech.mel_TC, another.speech.mel_TC)
    assert [one.text for one in first] == texts
    assert first[1].tokens == ["<en>", "<bos>", *"and two", "<eos>"]
    assert len(first[1].speech.durations_S) == len(first[1].tokens) and first[1].wave is None


def test_a_vocoder_makes_waves_and_batches_do_not_mix(model):
    spoken = speak(
        model,
        GoyaProcessor(),
        ["one", "two", "three"],
        ["en"] * 3,
        [torch.zeros(144)] * 3,
        lambda mel: mel.new_ones(256 * len(mel)),
        batch_size=2,
    )
    assert [len(one.wave) for one in spoken] == [256 * len(one.speech.mel_TC) for one in spoken]
    assert [one.text for one in spoken] == ["one", "two", "three"]


def test_speech_is_the_same_in_batches_of_any_size(model):
    texts, voices = ["one", "one", "and three"], [torch.zeros(144)] * 3
    first, *others = (
        speak(model, GoyaProcessor(), texts, ["en"] * 3, voices, seed=4, batch_size=size) for size in (1, 2, 3)
    )
    assert not torch.equal(first[0].speech.mel_TC, first[1].speech.mel_TC), "two sentences share their noise"
    for other in others:
        for one, same in zip(first, other, strict=True):
            torch.testing.assert_close(one.speech.mel_TC, same.speech.mel_TC, rtol=1e-3, atol=1e-3)
