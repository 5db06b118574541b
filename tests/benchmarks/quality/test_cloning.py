"""The logic of benchmarks/quality/cloning.py: which voices are compared with which, and what is counted as seen."""

import shutil

import numpy as np
import pytest
import torch

pytest.importorskip("parselmouth")
pytest.importorskip("espeakng_loader")

from benchmarks.quality import cloning, cloning_figures, cloning_voices
from benchmarks.quality.cloning_voices import CLIP_S, OTHERS, TRAINED_SHIFTS, all_voices, clips, heldout_recordings
from benchmarks.report import page_block
from data_pipeline.errors import UserError
from modeling.configuration import GoyaConfig
from modeling.losses import LossShape, kl_sum
from modeling.model import GoyaForTextToSpeech, GoyaOutput
from training.config.arguments import parse

RATE_HZ = 4000


def test_the_training_is_one_that_the_front_door_takes_and_what_follows_wins():
    config, *_ = parse(
        [*cloning.training_flags(cloning.DEMO, 700), "--device", "cpu", "--set", "data.speaker_augmentation=2"]
    )
    assert (config.train.max_steps, config.train.eval_every, config.data.speaker_augmentation) == (700, 700, 2)
    assert (
        parse([*cloning.training_flags(cloning.DEMO, 700), "--device", "cpu"])[0].data.speaker_augmentation
        == TRAINED_SHIFTS
    )


def test_where_people_are_heard_they_are_balanced_and_no_voices_are_made(tmp_path):
    shutil.copy(cloning.DEMO / "train-en.parquet", tmp_path / "train-librispeech.parquet")
    config = parse([*cloning.training_flags(tmp_path, 30), "--device", "cpu"])[0]
    assert (config.data.speaker_augmentation, config.data.speaker_balance) == (0, 0.7)
    told = "30 steps on the demo corpus, 235 people of LibriSpeech (speaker_balance 0.7)"
    assert cloning.trained_on(config, 30) == told


def unit(*parts: float) -> np.ndarray:
    return np.array(parts) / np.linalg.norm(parts)


def test_a_voice_is_compared_with_its_clip_and_with_those_of_other_persons():
    clips_VE = np.stack([unit(1, 0), unit(0, 1), unit(1, 0.1)])
    speech_VKE = np.stack([[unit(1, 0), unit(1, 1)], [unit(0, 1), unit(1, 0)], [unit(1, 0), unit(0, 1)]])
    first, second, third = cloning_figures.compared(speech_VKE, clips_VE, ["anna", "ben", "anna"])
    root = 0.5**0.5
    assert first["own"] == pytest.approx([1, root]) and first["others"] == pytest.approx([0, root])
    # The third clip is near, but it is the same person's.
    assert first["first"] == [True, False]
    assert second["own"] == pytest.approx([1, 0]) and second["first"] == [True, False]
    assert second["nearest_other"] == pytest.approx([clips_VE[2, 1], 1])
    assert second["others"] == pytest.approx([clips_VE[2, 1] / 2, (1 + clips_VE[2, 0]) / 2])
    assert third["first"] == [True, False]
    assert cloning_figures.compared(speech_VKE[1:2], clips_VE, ["anna", "ben", "anna"], [1]) == [second]


def judged(name: str, kind: str, own: float, first: bool, cer: float, **more) -> dict:
    part = {"own": [own, own], "others": [0.5, 0.7], "nearest_other": [0.8, 0.6], "first": [first, first]}
    real = {"own": [0.9], "others": [0.6], "nearest_other": [0.7], "first": [True]}
    return {
        "name": name,
        "kind": kind,
        "speech": part,
        "recorded": real,
        "vocoded": real | {"own": [0.8]},
        "cer": cer,
    } | more


PROMPTED = {"own": [0.7, 0.8], "others": [0.5, 0.5], "nearest_other": [0.6, 0.6], "first": [True, True]}
VOICES = [
    judged("anna", "seen, recorded", 0.9, True, 0.1),
    judged("anna formants x1.1 pitch x1.1", "seen, made", 0.8, False, 0.3),
    judged("ben-en", "unseen, recorded", 0.6, False, 0.5, prompted=PROMPTED, cer_prompted=0.4),
]


def test_the_figures_part_the_seen_from_the_unseen():
    found = cloning_figures.figures(VOICES)
    assert (found["voices_seen"], found["voices_unseen"]) == (2, 1)
    assert found["similarity_seen"] == pytest.approx(0.85) and found["similarity_unseen"] == pytest.approx(0.6)
    assert found["similarity_prompted_unseen"] == pytest.approx(0.75) and "similarity_prompted_seen" not in found
    assert found["top1_seen"] == 0.5 and found["top1_unseen"] == 0
    assert found["cer_seen"] == pytest.approx(0.2) and found["cer_unseen"] == 0.5
    assert found["similarity_other"] == pytest.approx(0.6) and found["similarity_nearest_other"] == pytest.approx(0.7)
    assert found["similarity_recorded"] == pytest.approx(0.9) and found["similarity_vocoded"] == pytest.approx(0.8)


def test_every_figure_of_the_table_is_in_the_page_block(tmp_path):
    results = {"machine": "a CPU", "date": "2026-01-02T03:04:05", "commit": "abc", "voices": VOICES}
    results |= {"figures": cloning_figures.figures(VOICES), "by_kind": cloning_figures.by_kind(VOICES)}
    results["trained_on"] = "7 steps on a tone"
    results["by_speaker"] = cloning_figures.by_speaker(VOICES)
    block = cloning_figures.block(results)
    assert "2 of the voices are as recorded" in block and "7 steps" in block and "| 0.850 |" in block
    assert block.count("\n| ") == 1 + len(cloning_figures.SHOWN) - 1 + 1 + 3  # nobody seen was prompted
    assert "| was heard in training, in another language | 1 | 0.900 | 0.600 | 100% | 10.0% | 0.900 |" in block
    assert "| was never heard, in English | 1 | 0.600 | 0.600 | 0% | 50.0% | 0.900 |" in block
    assert "| was never heard, in English, the clip's text given | 1 | 0.750 | 0.500 | 100% | 40.0% | 0.900 |" in block
    assert "training, in English" not in block and "heard, in another" not in block
    (tmp_path / "README.md").write_text("<!-- cloning:begin --><!-- cloning:end -->", encoding="utf-8")
    page_block.put("cloning", block, tmp_path)
    assert block in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "unseen, recorded" in cloning_figures.table(results)


def test_clips_share_no_recording():
    numbered = [np.full(3 * RATE_HZ, 0.1 * (number + 1), np.float32) for number in range(12)]
    found = clips(iter(numbered), RATE_HZ)
    assert [len(clip) for clip in found] == [CLIP_S * RATE_HZ] * (1 + OTHERS)
    levels = [set(clip.round(3).tolist()) for clip in found]
    assert [len(one) for one in levels] == [2] * 4 and len(set().union(*levels)) == 8
    with pytest.raises(UserError, match="Found 3 clips"):
        clips(iter(numbered[:7]), RATE_HZ)


@pytest.fixture(scope="module")
def voices() -> list:
    tone_N = np.sin(np.arange(6 * RATE_HZ) * 2 * np.pi * 150 / RATE_HZ).astype(np.float32) / 2
    people = {name: [tone_N] * 4 for name in cloning_voices.PEOPLE}
    return all_voices(heldout_recordings(cloning.DEMO, RATE_HZ), people, TRAINED_SHIFTS, RATE_HZ)


def test_the_voices_are_the_five_of_the_corpora_and_twenty_more(voices):
    kinds = [voice.kind for voice in voices]
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    assert counts == {"seen, recorded": 3, "seen, made": 10, "unseen, recorded": 14, "unseen, made": 26}
    assert len({voice.name for voice in voices}) == len(voices)
    assert all(len(clip) == CLIP_S * RATE_HZ for voice in voices for clip in (voice.clip_N, *voice.others))
    allison = [voice for voice in voices if voice.person == "allison"]
    assert [voice.name for voice in allison] == ["allison-en", "allison-es"]


def test_no_unseen_made_voice_has_a_shift_of_training(voices):
    shifts = {seen: {voice.shift for voice in voices if voice.shift and voice.seen == seen} for seen in (True, False)}
    assert not shifts[True] & shifts[False]
    trained = {cloning_voices.voice_shift(number) for number in range(TRAINED_SHIFTS)}
    assert shifts[True] <= trained and not shifts[False] & trained


def test_without_augmented_voices_in_training_only_the_speakers_are_seen():
    found = all_voices(heldout_recordings(cloning.DEMO, RATE_HZ), {}, 0, RATE_HZ)
    assert {voice.name for voice in found if voice.seen} == {"allison-en", "allison-es", "june-fr"}


def test_the_kl_is_that_of_the_loss():
    torch.manual_seed(0)
    model = GoyaForTextToSpeech(GoyaConfig.of_size("debug")).eval()
    mel_TC = torch.randn(50, 80) - 5
    with torch.inference_mode():
        mean, log_variance = model.voice_encoder(model.normalize(mel_TC)[None], torch.tensor([50]))
        output = GoyaOutput(voice_mean_BU=mean, voice_log_variance_BU=log_variance)
        assert cloning.posterior_kl(model, mel_TC) == pytest.approx(float(kl_sum(output, {}, LossShape())))
