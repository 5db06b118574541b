"""One utterance to tokens and mel, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from data_pipeline.batching.features import FeatureMaker
from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import AudioConfig, decode_audio
from data_pipeline.text.tokens import Vocabulary
from data_pipeline.utterance import Samples, Utterance

MAKE = FeatureMaker(AudioConfig(), frames_per_step=2)


@pytest.fixture
def utterance(recordings) -> Utterance:
    row = recordings[0]
    return Utterance(row["id"], row["text"], row["audio"]["bytes"], row["speaker"], row["language"])


def test_a_recording_becomes_tokens_and_mel(utterance, recordings):
    made = MAKE(utterance)
    assert Vocabulary().decode(made.tokens_S.tolist()) == utterance.text.lower()
    assert made.tokens_S.dtype == np.int64 and made.mel_TC.dtype == np.float32
    seconds = len(made.mel_TC) / AudioConfig().frames_per_s
    assert recordings[0]["duration_s"] - 1.5 < seconds <= recordings[0]["duration_s"] + 0.02
    assert (made.id, made.speaker, made.language) == (utterance.id, utterance.speaker, utterance.language)
    assert made.voice == f"{utterance.speaker}-{utterance.language}"
    assert made.nbytes == made.mel_TC.nbytes + made.tokens_S.nbytes


def test_silence_at_the_ends_is_not_learned(utterance):
    wave = decode_audio(utterance.audio, 22_050)
    padded = np.concatenate([np.zeros(22_050, np.float32), wave, np.zeros(22_050, np.float32)])
    quiet = MAKE(replace(utterance, audio=Samples(padded, 22_050)))
    assert abs(len(quiet.mel_TC) - len(MAKE(utterance).mel_TC)) <= 10


def test_the_language_of_the_corpus_serves_rows_that_name_none(utterance):
    make = FeatureMaker(AudioConfig(), 2, language="es")
    foreign = make(replace(utterance, language=None, text="tres"))
    assert foreign.language == "es" and foreign.tokens_S[0] == Vocabulary().language_id("es")
    assert make(utterance).language == utterance.language


@pytest.mark.parametrize("text", ["...", " - ", "\u200e?!"])
def test_a_text_without_words_is_refused(utterance, text):
    with pytest.raises(UserError, match=rf"(?s){utterance.id}.*nothing to speak"):
        MAKE(replace(utterance, text=text))


def test_a_text_too_long_for_its_audio_is_refused(utterance):
    steps = -(-len(MAKE(utterance).mel_TC) // 2)
    assert len(MAKE(replace(utterance, text="a" * (steps - 3))).tokens_S) == steps
    with pytest.raises(UserError, match=rf"(?s){utterance.id}.*too long for its audio: {steps + 1} tokens"):
        MAKE(replace(utterance, text="a" * (steps - 2)))


def test_natural_speech_in_a_script_that_is_written_in_bytes_is_used(utterance):
    """Hindi at 17 characters a second has three bytes to a letter: more tokens than there are decoder steps."""
    text = "आपका फ़ोन हमारे लिए बहुत महत्वपूर्ण है"
    whole = len(Vocabulary().encode(text, "hi"))
    wave = decode_audio(utterance.audio, 22_050)[: int(22_050 * len(text) / 17)]
    made = MAKE(replace(utterance, text=text, language="hi", audio=Samples(wave, 22_050)))
    steps = -(-len(made.mel_TC) // 2)
    assert len(made.tokens_S) <= steps < whole
    slow = MAKE(replace(utterance, text="फ़ोन", language="hi"))
    assert slow.tokens_S.tolist() == Vocabulary().encode("फ़ोन", "hi")  # as ever, where there is time


def test_speech_too_fast_for_its_steps_is_told_from_a_wrong_transcript(utterance):
    make = FeatureMaker(AudioConfig(), frames_per_step=4)
    wave = decode_audio(utterance.audio, 22_050)[:22_050]
    spoken = replace(utterance, text="twenty letters, twenty", audio=Samples(wave, 22_050))
    with pytest.raises(UserError, match=r"\d+ letters a second can be spoken: give --set model.frames_per_step=1"):
        make(replace(spoken, text="many letters in a second"))
    with pytest.raises(UserError, match="probably belongs to another recording"):
        make(replace(spoken, text="many letters in a second " * 4))
