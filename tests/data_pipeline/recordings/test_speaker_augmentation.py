"""Made voices: what is moved by how much, what stays, and who gets which."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("parselmouth")

from data_pipeline.errors import UserError
from data_pipeline.recordings import speaker_augmentation
from data_pipeline.recordings.speaker_augmentation import FORMANTS, PITCH, augmented, shifted, voice_shift
from data_pipeline.utterance import Utterance, VoiceShift
from tests.data_pipeline.batching.test_loader import assert_same, epoch, loader
from training.config.arguments import parse
from training.setup.inputs import build_inputs

RATE_HZ = 22_050
PITCH_HZ, FORMANT_HZ = 150.0, 1500.0


def vowel(seconds: float = 1.0) -> np.ndarray:
    """Harmonics of 150 Hz under one broad formant at 1500 Hz."""
    harmonics_hz = np.arange(PITCH_HZ, 6000, PITCH_HZ)
    levels = np.exp(-(((harmonics_hz - FORMANT_HZ) / 500) ** 2))
    time_N1 = np.arange(int(seconds * RATE_HZ))[:, None] / RATE_HZ
    wave_N = (levels * np.sin(2 * np.pi * harmonics_hz * time_N1)).sum(1)
    return (0.5 * wave_N / np.abs(wave_N).max()).astype(np.float32)


def pitch_and_formant_hz(wave_N: np.ndarray) -> tuple[float, float]:
    """The lag of the highest autocorrelation from 110 to 400 Hz; the center of the power spectrum."""
    middle_N = wave_N[RATE_HZ // 4 : RATE_HZ // 4 + 8192] * np.hanning(8192)
    power_F = np.abs(np.fft.rfft(middle_N, 16_384)) ** 2
    lags = np.fft.irfft(power_F)[RATE_HZ // 400 : RATE_HZ // 110]
    hz_F = np.fft.rfftfreq(16_384, 1 / RATE_HZ)
    return RATE_HZ / (RATE_HZ // 400 + int(lags.argmax())), float((hz_F * power_F).sum() / power_F.sum())


@pytest.mark.parametrize("shift", [VoiceShift(1.2, 1.0), VoiceShift(0.85, 1.0), VoiceShift(1.0, 1.4)])
def test_pitch_and_formants_move_as_told_and_nothing_else(shift):
    wave_N = vowel()
    made_N = shifted(wave_N, RATE_HZ, shift)
    assert made_N.dtype == np.float32 and len(made_N) == len(wave_N)
    pitch_hz, formant_hz = pitch_and_formant_hz(made_N)
    assert pitch_hz == pytest.approx(PITCH_HZ * shift.pitch, rel=0.03)
    assert formant_hz == pytest.approx(FORMANT_HZ * shift.formants, rel=0.05)
    assert np.sqrt(np.mean(made_N**2) / np.mean(wave_N**2)) == pytest.approx(1.0, abs=0.2)


def test_noise_has_formants_but_no_pitch_to_move():
    noise_N = np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32) / 10
    assert np.isfinite(shifted(noise_N, RATE_HZ, VoiceShift(0.9, 1.4))).all()


def test_a_clip_too_short_for_a_voice_is_refused():
    with pytest.raises(UserError, match=r"cannot move the voice of a clip of 0\.02 s"):
        shifted(vowel()[:441], RATE_HZ, VoiceShift(0.9, 1.4))


def test_the_list_of_shifts_fills_its_ranges_and_repeats_nothing():
    found = np.array([(one.formants, one.pitch) for one in map(voice_shift, range(60))])
    assert (found.min(0) > (FORMANTS[0] - 1e-9, PITCH[0] - 1e-9)).all()
    assert (found.max(0) < (FORMANTS[1] + 1e-9, PITCH[1] + 1e-9)).all()
    low, high = np.log([FORMANTS, PITCH]).T
    places = (np.log(found) - low) / (high - low)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2) + np.eye(60)
    assert distances.min() > 0.05
    assert [np.histogram(axis, bins=4, range=(0, 1))[0].min() >= 13 for axis in places.T] == [True, True]


def batch(size: int) -> tuple[Utterance, ...]:
    return tuple(Utterance(f"u{number}", "a text", b"", "anna", "en") for number in range(size))


def test_half_stays_as_recorded_and_the_shifts_are_drawn_evenly():
    drawn = Counter(one.shift for seed in range(3000) for one in augmented(batch(4), 5, (seed,)))
    assert drawn.pop(None) / 12_000 == pytest.approx(0.5, abs=0.05)
    assert set(drawn) == {voice_shift(number) for number in range(5)}
    assert min(drawn.values()) > 0.8 * max(drawn.values())


def test_the_share_that_stays_as_recorded_can_be_another():
    shifts = [one.shift for seed in range(1000) for one in augmented(batch(4), 5, (seed,), 0.2)]
    assert shifts.count(None) / len(shifts) == pytest.approx(0.2, abs=0.05)


def test_a_batch_has_a_shift_for_each_four_and_is_otherwise_the_same():
    made = augmented(batch(8), 1000, (1, 2, 3))
    assert made == augmented(batch(8), 1000, (1, 2, 3)) != augmented(batch(8), 1000, (1, 2, 4))
    assert tuple(replace(one, shift=None) for one in made) == batch(8)
    for seed in range(50):
        counts = Counter(one.shift for one in augmented(batch(8), 1000, (seed,)))
        assert set(counts.values()) <= {4, 8}


@pytest.mark.slow
def test_processes_and_cache_change_nothing():
    plain, others = (
        loader(speaker_augmentation=3),
        (loader(2, speaker_augmentation=3), loader(0, 64, speaker_augmentation=3)),
    )
    expected = [epoch(plain, 0), epoch(plain, 1)]
    for other in others:
        for number in (0, 1):
            assert_same(epoch(other, number), expected[number])
    without = epoch(loader(), 0)
    assert [one.ids for one in without] == [one.ids for one in expected[0]]
    pairs = zip(without, expected[0], strict=True)
    same = [np.array_equal(one.tensors["mel"], other.tensors["mel"]) for one, other in pairs]
    assert 0 < sum(same) < len(same)


def test_the_setting_is_for_training_only(demo_corpus):
    words = [
        "--train-data",
        str(demo_corpus),
        "--device",
        "cpu",
        "--set",
        "data.speaker_augmentation=3",
        "--num-workers",
        "0",
    ]
    inputs = build_inputs(parse(words)[0], frames_per_step=2, rank=0, world_size=1)
    assert (inputs.train.plan.speaker_augmentation, inputs.validation.plan.speaker_augmentation) == (3, 0)


def test_without_the_extra_a_run_says_how_to_get_it(monkeypatch, demo_corpus):
    monkeypatch.setattr(speaker_augmentation.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"\[speaker-augmentation\]"):
        parse(["--train-data", str(demo_corpus), "--device", "cpu", "--set", "data.speaker_augmentation=3"])
    with pytest.raises(UserError, match=r"\[speaker-augmentation\]"):
        shifted(vowel(), RATE_HZ, voice_shift(0))
