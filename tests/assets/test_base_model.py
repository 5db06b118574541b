"""The model that ships: small, whole, and understood as it is, in every language that its card names."""

import re
from pathlib import Path

import pytest
import soundfile
import torch
from safetensors import safe_open

import synthesize
from data_pipeline.reading.sources import open_source
from evaluation.asr import load_recognizer
from evaluation.speaking import speak_utterances
from evaluation.text_metrics import character_error_rate
from inference.options import BASE
from inference.pretrained import SHIPPED, load
from inference.vocoders.registry import load_vocoder
from inference.voices import known_voices
from modeling.model import GoyaForTextToSpeech

MOST_BYTES = 25_000_000
SENTENCES = 8


@pytest.fixture(scope="module")
def base():
    return load(BASE)


def test_it_is_small_and_its_weights_are_halves():
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) < MOST_BYTES
    with safe_open(SHIPPED / "model.safetensors", "pt") as weights:
        assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"BF16"}  # noqa: SIM118


def test_it_computes_in_float32(base):
    for model in (base[0], GoyaForTextToSpeech.from_pretrained(SHIPPED)):
        assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_it_knows_the_languages_and_voices_of_its_card(base):
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    voices = known_voices(base[0].config.voices)
    assert re.search(r"^language: \[(.*)\]$", card, re.MULTILINE)[1].split(", ") == sorted(
        set().union(*voices.values())
    )
    assert all(f"`{name}`" in card for name in voices)


def test_without_a_model_it_speaks(tmp_path):
    out = tmp_path / "hello.wav"
    assert synthesize.main(["--text", "Thank you for calling.", "--out", str(out)]) == 0
    wave, rate_hz = soundfile.read(out)
    assert 0.8 < len(wave) / rate_hz < 3.0 and abs(wave).max() > 0.1


@pytest.mark.slow
def test_held_out_sentences_are_understood(base, demo_corpus: Path):
    pytest.importorskip("moonshine_voice", reason='needs the extra: pip install -e ".[eval]"')
    pytest.importorskip("rapidfuzz", reason='needs the extra: pip install -e ".[eval]"')
    model, processor = base
    source = open_source(str(demo_corpus), split="validation")
    english = [one for one in map(source.to_utterance, source.rows()) if one.language == "en"][:SENTENCES]
    audio = processor.feature_extractor.audio_config
    vocoder, recognizer = load_vocoder("auto", audio), load_recognizer("moonshine", "en")
    spoken = speak_utterances(model, processor, english)
    heard = [recognizer(vocoder(one.speech.mel_TC), audio.sample_rate_hz) for one in spoken]
    assert character_error_rate(heard, [one.text for one in english], "en") < 0.1
