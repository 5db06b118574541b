"""Model folders as a stranger may have made them: one message, nothing outside opened, no memory taken."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import synthesize
from data_pipeline.errors import UserError
from inference import safe_folder
from inference.pretrained import load, load_description
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A good model's folder."""
    torch.manual_seed(0)
    path = tmp_path / "theirs"
    config = GoyaConfig.of_size("debug", vocab_size=len(GoyaProcessor().tokenizer))
    config.audio = vars(GoyaProcessor().feature_extractor.audio_config)
    config.voices = {"ann-en": [0.1] * config.voice_size}
    GoyaForTextToSpeech(config).save_pretrained(path)
    GoyaProcessor().save_pretrained(path)
    return path


def described(folder: Path, name: str = "config.json", **changes) -> None:
    found = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(found | changes))


def audio(folder: Path, **changes) -> None:
    found = json.loads((folder / "processor_config.json").read_text())["feature_extractor"]
    described(folder, "processor_config.json", feature_extractor=found | changes)


def weights(folder: Path, change) -> None:
    found = load_file(folder / WEIGHTS)
    found = change({name: weight.clone() for name, weight in found.items()})
    save_file(found, folder / WEIGHTS, metadata={"format": "pt"})


def indexed(folder: Path, name: str) -> None:
    """Weights in the file of that name, which an index says."""
    names = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).rename(folder / "model-00001-of-00001.safetensors")
    weight_map = dict.fromkeys(names, name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def linked(folder: Path, name: str) -> None:
    """A file that is a link to one outside."""
    os.replace(folder / name, folder.parent / name)
    (folder / name).symlink_to(folder.parent / name)


def pipe(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)


def first(found: dict) -> str:
    return sorted(found)[0]


HOSTILE = {
    "a thousand million layers": (
        lambda it: described(it, encoder_layers=10**9),
        "encoder_layers: 1000000000; expected",
    ),
    "more layers than weights": (lambda it: described(it, decoder_layers=200), "do not fit its config.json"),
    "fewer layers than weights": (lambda it: described(it, decoder_layers=1), "is none of its weights"),
    "a wide model": (
        lambda it: described(it, hidden_size=2**14, encoder_layers=256),
        "are free; expected one that fits",
    ),
    "layers that are text": (lambda it: described(it, encoder_layers="2"), "expected a whole number"),
    "layers that are a list": (lambda it: described(it, encoder_layers=[2]), "expected a whole number"),
    "heads that do not divide": (lambda it: described(it, head_dim=48), "is not a multiple of head_dim"),
    "another kind": (lambda it: described(it, model_type="bert"), "of the kind 'bert'"),
    "speech without end": (lambda it: described(it, max_token_steps=10**12), "max_token_steps"),
    "a dropout of everything": (lambda it: described(it, prenet_dropout=1.0), "prenet_dropout"),
    "a scale of none": (lambda it: described(it, mel_std=0), "mel_std"),
    "a mean that is no number": (lambda it: described(it, mel_mean=float("nan")), "mel_mean: nan"),
    "voices that are text": (lambda it: described(it, voices={"ann": "x"}), "no voices that can be read"),
    "voices that are no table": (lambda it: described(it, voices=[1]), "no voices that can be read"),
    "a voice of text": (lambda it: described(it, voices={"ann": ["x"] * 144}), "The voice 'ann'"),
    "audio that is text": (lambda it: described(it, audio="22 kHz"), "says of its audio"),
    "weights elsewhere": (lambda it: described(it, transformers_weights="other.bin"), "transformers_weights"),
    "no config": (lambda it: (it / "config.json").write_text("[]"), "no object of JSON"),
    "a deep config": (lambda it: (it / "config.json").write_text('{"a":' * 10**5), "config.json cannot be read"),
    "a nested config": (lambda it: described(it, audio=json.loads('{"a":' * 50 + "1" + "}" * 50)), "levels deep"),
    "a huge transform": (lambda it: audio(it, n_fft=10**9), "n_fft: 1000000000; expected"),
    "a rate of zero": (lambda it: audio(it, sample_rate_hz=0), "sample_rate_hz: 0; expected"),
    "a hop beyond the window": (lambda it: audio(it, hop=2048), "audio.hop is 2048"),
    "other channels": (lambda it: audio(it, n_mels=100), "expected those of one model"),
    "no extractor": (
        lambda it: described(it, "processor_config.json", feature_extractor=None),
        "says of its audio None",
    ),
    "tokens that are numbers": (
        lambda it: described(it, "vocabulary.json", tokens=[1, 2]),
        "vocabulary cannot be read",
    ),
    "tokens that are nested": (
        lambda it: described(it, "vocabulary.json", tokens=[["a"]]),
        "vocabulary cannot be read",
    ),
    "a huge vocabulary": (
        lambda it: described(it, "vocabulary.json", tokens=list(map(str, range(9999)))),
        "vocabulary of",
    ),
    "units that are a list": (lambda it: described(it, "vocabulary.json", units=["x"]), "units are"),
    "no weights": (lambda it: (it / WEIGHTS).unlink(), "model.safetensors cannot be opened"),
    "half of the weights": (lambda it: os.truncate(it / WEIGHTS, (it / WEIGHTS).stat().st_size // 2), "are damaged"),
    "a weight less": (lambda it: weights(it, lambda w: {k: v for k, v in w.items() if k != first(w)}), "is missing"),
    "a weight more": (lambda it: weights(it, lambda w: w | {"more": torch.ones(3)}), "more is none of its weights"),
    "a weight of another shape": (lambda it: weights(it, lambda w: w | {first(w): torch.ones(3)}), "where the config"),
    "whole numbers": (lambda it: weights(it, lambda w: w | {first(w): torch.ones(3).long()}), "as I64; expected one"),
    "weights that are no numbers": (
        lambda it: weights(it, lambda w: w | {first(w): w[first(w)] * float("nan")}),
        "that are not finite",
    ),
    "an index upwards": (lambda it: indexed(it, "../model.safetensors"), "expected safetensors of the same folder"),
    "an absolute index": (lambda it: indexed(it, "/etc/passwd"), "expected safetensors of the same folder"),
    "an index to a pickle": (lambda it: indexed(it, "pytorch_model.bin"), "expected safetensors of the same folder"),
    "an index of numbers": (lambda it: indexed(it, 7), "expected safetensors of the same folder"),
    "an index of nothing": (lambda it: indexed(it, "gone.safetensors"), "gone.safetensors cannot be opened"),
    "linked weights": (lambda it: linked(it, WEIGHTS), "leads out of its folder"),
    "a linked config": (lambda it: linked(it, "vocabulary.json"), "leads out of its folder"),
    "a pipe of weights": (lambda it: pipe(it, WEIGHTS), "is no regular file"),
    "a pipe of a config": (lambda it: pipe(it, "vocabulary.json"), "is no regular file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_one_message_and_exit_code_2(folder, name, tmp_path, capsys):
    harm, told = HOSTILE[name]
    harm(folder)
    out = tmp_path / "said.wav"
    assert synthesize.main([str(folder), "--text", "Hello.", "--out", str(out)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and told in error and error.count("error: ") == 1
    assert not out.exists()


def test_a_good_model_loads_whole_and_as_it_is(folder):
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "/somewhere/else"}')  # has no effect
    described(folder, attn_implementation="somebody/kernel", quantization_config={"quant_method": "x"})
    model, processor = load(str(folder))
    expected = load_file(folder / WEIGHTS)
    assert model.state_dict().keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in model.state_dict().items())
    assert not model.training and all(one.requires_grad for one in model.parameters())
    assert processor.feature_extractor.sampling_rate == 22_050
    assert model.config.voices["ann-en"] == [0.1] * model.config.voice_size


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_become_float32(folder, dtype):
    before = load(str(folder))[0].state_dict()
    weights(folder, lambda found: {name: weight.to(dtype) for name, weight in found.items()})
    after = load(str(folder))[0].state_dict()
    assert all(torch.equal(after[name], weight.to(dtype).float()) for name, weight in before.items())


def test_files_that_an_index_names_are_read(folder):
    before = load(str(folder))[0].state_dict()
    indexed(folder, "model-00001-of-00001.safetensors")
    after = load(str(folder))[0].state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


def test_a_snapshot_of_the_hubs_cache_is_one_folder(folder, tmp_path):
    """Its files are links to blobs beside it; a link further out is refused there, too."""
    blobs, snapshot = tmp_path / "models--x" / "blobs", tmp_path / "models--x" / "snapshots" / "abc"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted(folder.iterdir())):
        os.replace(path, blobs / str(number))
        (snapshot / path.name).symlink_to(blobs / str(number))
    load(str(snapshot))
    (snapshot / WEIGHTS).unlink()
    (snapshot / WEIGHTS).symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="leads out of its folder"):
        load(str(snapshot))


def test_a_model_that_does_not_fit_into_memory_is_not_built(folder, monkeypatch):
    class Full:
        available = 2**20

    monkeypatch.setattr(safe_folder.psutil, "virtual_memory", Full)
    with pytest.raises(UserError, match="0.0 GB are free; expected one that fits"):
        load_description(str(folder))
