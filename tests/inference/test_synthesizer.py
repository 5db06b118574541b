"""Speaking from Python: what a model cannot know is said, and speaking disturbs nothing."""

import pytest
import torch

from data_pipeline.errors import UserError
from inference.options import SpeechOptions
from inference.synthesizer import Line, Spoken, Synthesizer
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor


@pytest.fixture
def english(model):
    model.config.voices = {"ana-en": [0.0] * model.config.voice_size}
    model.config.max_token_steps = 3
    return model


@pytest.mark.parametrize(("text", "language", "told"), [("Hallo", "de", "not on German"), ("你好 hi", "en", "你好")])
def test_a_language_or_script_of_its_own_is_warned_of(english, text, language, told):
    with pytest.warns(UserWarning, match=told):
        wave = Synthesizer(english, GoyaProcessor()).speak(text, SpeechOptions(language, vocoder="griffin_lim"))
    assert len(wave)


def test_cudnn_makes_no_plan_for_each_new_length(english):
    torch.backends.cuda.enable_cudnn_sdp(True)
    Synthesizer(english, GoyaProcessor())
    assert not torch.backends.cuda.cudnn_sdp_enabled()


def test_no_language_at_all_is_an_error(english):
    with pytest.raises(UserError, match=r"'xx' is no language .* it speaks English \(en\)"):
        Synthesizer(english, GoyaProcessor()).speak("Hello", SpeechOptions("xx", vocoder="griffin_lim"))


@pytest.fixture(scope="module")
def learner() -> GoyaForTextToSpeech:
    torch.manual_seed(0)
    return GoyaForTextToSpeech(GoyaConfig.of_size("debug", max_token_steps=3))


def speak(model, texts: list[str], voices: list[torch.Tensor], vocoder=None, **more) -> list[Spoken]:
    lines = [Line(text, "en", voice) for text, voice in zip(texts, voices, strict=True)]
    return list(Synthesizer(model, GoyaProcessor()).each(lines, vocoder, **more))


def test_speaking_is_repeatable_and_disturbs_no_training(learner):
    learner.train()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    texts, voices = ["one", "and two"], [torch.zeros(144), torch.ones(144)]
    first, again, other = (speak(learner, texts, voices, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before) and learner.training
    for one, same, another in zip(first, again, other, strict=True):
        assert torch.equal(one.speech.mel_TC, same.speech.mel_TC)
        assert not torch.equal(one.speech.mel_TC, another.speech.mel_TC)
    assert [one.text for one in first] == texts
    assert first[1].tokens == ["<en>", "<bos>", *"and two", "<eos>"]
    assert len(first[1].speech.durations_S) == len(first[1].tokens) and first[1].wave is None


def test_a_vocoder_makes_waves_and_batches_do_not_mix(learner):
    def vocoder(mel):
        return mel.new_ones(256 * len(mel))

    spoken = speak(learner, ["one", "two", "three"], [torch.zeros(144)] * 3, vocoder, batch_size=2)
    assert [len(one.wave) for one in spoken] == [256 * len(one.speech.mel_TC) for one in spoken]
    assert [one.text for one in spoken] == ["one", "two", "three"]


def test_speech_is_the_same_in_batches_of_any_size(learner):
    texts, voices = ["one", "one", "and three"], [torch.zeros(144)] * 3
    first, *others = (speak(learner, texts, voices, seed=4, batch_size=size) for size in (1, 2, 3))
    assert not torch.equal(first[0].speech.mel_TC, first[1].speech.mel_TC), "two sentences share their noise"
    for other in others:
        for one, same in zip(first, other, strict=True):
            torch.testing.assert_close(one.speech.mel_TC, same.speech.mel_TC, rtol=1e-3, atol=1e-3)


def test_synthesizers_can_share_what_makes_their_waves(learner):
    """The page compares two checkpoints, and holds one vocoder."""
    vocoders = {}
    one, other, alone = (Synthesizer(learner, GoyaProcessor(), *more) for more in ([vocoders], [vocoders], []))
    assert one.vocoder("griffin_lim") is other.vocoder("griffin_lim") is not alone.vocoder("griffin_lim")
