"""Features of several utterances to padded tensors, and whose voice a reference clip has."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from data_pipeline.batching.collate import Collator, lengths, pad
from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.features import TOKEN_MULTIPLE, FeatureMaker, Features
from data_pipeline.batching.plan import PlannedBatch
from data_pipeline.recordings.audio import AudioConfig
from data_pipeline.recordings.speech import speech_spectrum
from data_pipeline.utterance import VoiceShift

FLOOR = float(np.log(1e-5))


def row(name: str, frames: int, speaker: str | None = None) -> Features:
    """Every frame says whose it is and its place."""
    mel = np.zeros((frames, 80), np.float32)
    mel[:, 0], mel[:, 1] = ord(name), np.arange(frames)
    return Features(name, np.full(frames // 10, 7), mel, speaker, "en")


def collate(*rows: Features, seed=(0,)):
    planned = PlannedBatch(rows, Cursor(), True, False, seed)
    return Collator(FeatureMaker(AudioConfig(), 2)).__getitems__(planned)


def test_padding_is_silence_after_the_end():
    batch = collate(row("a", 100), row("b", 60))
    mel = batch.tensors["mel"]
    assert mel.shape == (2, 100, 80) and batch.tensors["mel_lengths"].tolist() == [100, 60]
    assert (mel[1, 60:] == FLOOR).all() and (mel[1, :60, 0] == ord("b")).all()
    assert (mel[0, :, 0] == ord("a")).all()
    assert TOKEN_MULTIPLE == 8
    assert batch.tensors["input_ids"][1].tolist() == [7] * 6 + [0] * 10
    assert batch.tensors["token_lengths"].tolist() == [10, 6]
    assert batch.padded_share == pytest.approx(1 - 160 / 200)


def test_the_recordings_do_not_travel_back():
    assert collate(row("a", 100)).planned.entries == ()


def reference_of(batch, index: int):
    return batch.tensors["reference_mel"][index, : batch.tensors["reference_lengths"][index]]


def test_a_reference_is_another_utterance_of_the_same_speaker():
    rows = [row("a", 200, "anna"), row("b", 180, "anna"), row("c", 170, "ben"), row("d", 160), row("e", 150)]
    for seed in range(20):
        batch = collate(*rows, seed=(seed,))
        # Alone with their speaker, or of no known one: a piece of themselves.
        assert [chr(int(reference_of(batch, i)[0, 0])) for i in range(5)] == ["b", "a", "c", "d", "e"]


def test_a_spectrum_is_of_all_others_of_the_same_speaker():
    speakers = {"a": "anna", "d": "ben", "b": "anna", "e": None, "c": "anna"}
    draw = np.random.default_rng(0)  # noise: no frame is just as loud as the mean of all
    mels = [draw.normal(-5, 2, (length, 80)).astype(np.float32) for length in (100, 200, 100, 150, 300)]
    rows = [replace(row(name, 100, who), mel_TC=mel) for (name, who), mel in zip(speakers.items(), mels, strict=True)]
    found = collate(*rows).tensors["reference_spectrum"]
    for index, heard in enumerate(([2, 4], [1], [0, 4], [3], [0, 2])):
        mel_TC = np.concatenate([mels[other] for other in heard])
        torch.testing.assert_close(found[index], speech_spectrum(torch.from_numpy(mel_TC)))


def test_a_reference_has_the_voice_that_was_made_of_the_speaker():
    low, high = VoiceShift(0.9, 0.7), VoiceShift(1.1, 1.2)
    shifts = {"a": low, "b": None, "c": low, "d": high}
    rows = [replace(row(name, 100, "anna"), shift=shift) for name, shift in shifts.items()]
    for seed in range(20):
        batch = collate(*rows, seed=(seed,))
        assert [chr(int(reference_of(batch, i)[0, 0])) for i in range(4)] == ["c", "b", "a", "d"]


def test_a_reference_is_a_whole_piece_of_one_to_three_seconds():
    sizes = set()
    for seed in range(60):
        clip = reference_of(collate(row("a", 400), seed=(seed,)), 0)
        places = clip[:, 1].tolist()
        assert places == list(range(int(places[0]), int(places[0]) + len(places)))
        sizes.add(len(clip))
    assert min(sizes) >= 86 and max(sizes) <= 258 and len(sizes) > 30
    assert len(reference_of(collate(row("a", 50)), 0)) == 50


def test_the_same_seed_draws_the_same_clips():
    first, again, other = (reference_of(collate(row("a", 400), seed=seed), 0) for seed in ((1, 2), (1, 2), (1, 3)))
    assert first.tolist() == again.tolist() != other.tolist()


def test_nothing_usable_is_an_empty_batch():
    batch = collate()
    assert not batch.real and batch.ids == [""] and (batch.tensors["mel"] == FLOOR).all()


def test_the_voice_is_named_after_speaker_and_language():
    rows = [row("a", 100, "anna"), row("b", 100), replace(row("c", 100), language=None)]
    assert collate(*rows).voices == ["anna-en", "en", "default"]


def test_pad_and_lengths():
    rows = [np.ones((3, 2), np.float32), np.ones((1, 2), np.float32)]
    assert pad(rows, -1.0)[:, :, 0].tolist() == [[1, 1, 1], [1, -1, -1]]
    assert lengths(rows).tolist() == [3, 1]
