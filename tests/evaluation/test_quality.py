"""The error rate of held-out sentences: which are spoken, in which voice, and how the result is told."""

import importlib.util
from types import SimpleNamespace

import pytest
import torch

from data_pipeline.reading.sources import open_source
from data_pipeline.recordings.audio import AudioConfig, decode_audio
from data_pipeline.utterance import Utterance
from evaluation import quality, speaking
from inference.synthesizer import Spoken
from testing.small_runs import DEMO


@pytest.fixture
def heard(monkeypatch):
    """speech_quality with a speaker and a listener of ours; returns (call, what was spoken)."""
    spoken = []

    class Speaker:
        def __init__(self, model, processor):
            pass

        def each(self, lines, vocoder, **more):
            spoken.extend((line.text, line.language, line.voice_V) for line in lines)
            return [Spoken(line.text, [], None, torch.full((4,), float(n))) for n, line in enumerate(lines)]

    answers = {0.0: "one two three", 1.0: "four five"}
    monkeypatch.setattr(speaking, "Synthesizer", Speaker)
    monkeypatch.setattr(speaking, "voice_for", lambda model, speaker, language: (speaker, language))
    monkeypatch.setattr(quality, "load_recognizer", lambda: lambda wave, rate: answers[float(wave[0])])
    monkeypatch.setattr(quality, "opinion", lambda waves, rate: {"distillmos": float(len(waves))})
    model = SimpleNamespace(config=SimpleNamespace(voices={"anna-en": []}))
    return lambda rows: quality.speech_quality(model, None, SimpleNamespace(sample_rate_hz=22_050), rows), spoken


def test_only_sentences_that_the_recognizer_knows_are_judged(heard):
    judge, spoken = heard
    rows = [
        Utterance("a", "one two three", b"", "anna", "en"),
        Utterance("b", "four five six", b"", "stranger", "en"),
        Utterance("c", "un deux trois", b"", "anna", "fr"),
        Utterance("d", "short", b"", "anna", "en"),
    ]
    found = judge(rows)
    assert found["sentences"] == found["distillmos"] == 2
    assert found["cer"] == pytest.approx(4 / 26)  # " six" is missing
    assert found["heard"][1] == {"id": "b", "said": "four five six", "heard": "four five"}
    assert spoken == [("one two three", "en", ("anna", "en")), ("four five six", "en", (None, "en"))]


def test_nothing_to_judge_is_none(heard):
    assert heard[0]([Utterance("c", "un deux trois", b"", None, "fr")]) is None


def test_without_the_extra_there_is_no_judgment(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name != "moonshine_voice" or None)
    assert not quality.can_recognize()


@pytest.mark.slow
def test_the_judge_says_how_like_the_recordings_the_voices_are_and_how_natural(monkeypatch):
    for package in ("webrtcvad", "distillmos"):
        pytest.importorskip(package, reason='needs the extra: pip install -e ".[eval]"')
    monkeypatch.setattr(quality, "WHILE_TRAINING", 2)
    monkeypatch.setattr(quality, "load_recognizer", lambda language: lambda wave, rate: "")
    source = open_source(str(DEMO), split="validation")
    rows = [source.to_utterance(row) for row in source.rows()]
    english, french = ([row for row in rows if row.language == language][:10] for language in ("en", "fr"))
    vocoder = SimpleNamespace(sample_rate_hz=22_050, audio_config=AudioConfig())
    judge = quality.SpeechJudge({"en": english}, 10, vocoder)
    model = SimpleNamespace(config=SimpleNamespace(max_token_steps=9))

    def spoken_by(waves) -> dict[str, float]:
        speech = SimpleNamespace(mel_TC=torch.zeros(80, 80), durations_S=torch.ones(3))
        every = [Spoken("", [], speech, torch.as_tensor(wave)) for wave in waves]
        monkeypatch.setattr(quality, "speak_utterances", lambda *_: every)
        return judge(model, None)

    own, other = ([decode_audio(row.audio, 22_050) for row in group] for group in (english, french))
    assert spoken_by(own)["similarity"] == pytest.approx(1.0, abs=1e-3)
    assert 0.4 < spoken_by(other)["similarity"] < 0.8
    assert "similarity" not in spoken_by([*own[:9], torch.zeros(22_050)])  # silence has no voice
    assert 3.0 < spoken_by(own)["distillmos"] <= 5.0
    assert "distillmos" not in spoken_by([torch.zeros(22_050), *own[1:]])
