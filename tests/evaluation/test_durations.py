"""How long a text should take, and what is counted of speech that took longer or shorter."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from data_pipeline.reading.sources import open_source
from data_pipeline.text.tokens import Vocabulary
from data_pipeline.utterance import Utterance
from evaluation.durations import Pace, duration_figures, recorded_seconds
from evaluation.stop_errors.stop_errors import EARLY, LATE
from inference.generation import Speech
from inference.synthesizer import Spoken
from testing.small_runs import DEMO


def test_pace_finds_the_line_and_weighs_short_and_long_alike():
    texts, read = ["a" * length for length in (1, 5, 20, 80)], Vocabulary()
    exact = Pace.of(read, texts, [0.4 + 0.05 * len(text) for text in texts], "en")
    assert exact.seconds("a" * 40, "en") == pytest.approx(2.4)
    # One long recording said slowly moves the short ones by little: errors are relative.
    bent = Pace.of(read, texts, [0.45, 0.65, 1.4, 8.0], "en")
    assert bent.seconds("a", "en") == pytest.approx(0.45, rel=0.2)
    assert exact.seconds("$5", "en") == pytest.approx(0.4 + 0.05 * len("five dollars"))  # as it is read


def test_a_pace_of_phonemes_lets_expect_of_a_letter_what_its_recording_lasts():
    """By characters the speaker's own letters came out late: a "w" lasts 1.6 times what one character does."""
    pytest.importorskip("espeakng_loader", reason='needs the extra: pip install -e ".[espeak]"')
    corpus = open_source(str(DEMO))
    utterances = [one for one in map(corpus.to_utterance, corpus.rows()) if one.language == "en"]
    lengths = [recorded_seconds(one, 22_050) for one in utterances]
    pace = Pace.of(Vocabulary(units="espeak"), [one.text for one in utterances], lengths, "en")
    ratios = {one.text: length / pace.seconds(one.text, "en") for one, length in zip(utterances, lengths, strict=True)}
    letters = [ratio for text, ratio in ratios.items() if len(text) == 1 and text.isalpha()]
    assert len(letters) >= 20 and max(letters) < LATE and min(letters) > EARLY
    beyond = sum(not EARLY < ratio < LATE for ratio in ratios.values())
    assert beyond / len(ratios) < 0.01  # 1.1 % by characters


def test_recorded_seconds_leave_silent_ends_out(tmp_path):
    speech = np.random.default_rng(0).standard_normal(22_050).astype(np.float32) / 4
    path = tmp_path / "a.wav"
    soundfile.write(path, np.concatenate([np.zeros(22_050), speech, np.zeros(11_025)]), 22_050)
    assert recorded_seconds(Utterance("a", "", str(path)), 22_050) == pytest.approx(1.1, abs=0.06)  # 50 ms stay


def test_figures_of_speech():
    def spoken(frames: int, *durations: int) -> Spoken:
        return Spoken("", [], Speech(torch.zeros(frames, 80), torch.tensor(durations)), None)

    config = SimpleNamespace(max_token_steps=40)
    found = duration_figures([spoken(100, 39, 11), spoken(100, 40, 10), spoken(50, 25)], [1.0] * 3, config, 100.0)
    assert found == pytest.approx({"duration_ratio": 2.5 / 3, "ended_early": 1 / 3, "ended_late": 0, "never": 1 / 3})
