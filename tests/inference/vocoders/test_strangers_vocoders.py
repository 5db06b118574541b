"""The config.json of a vocoder as a stranger may have written it: one message, whatever a field holds."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import AudioConfig
from inference.vocoders.registry import load_vocoder

RATES = [8, 8, 4]
ODD = {
    "a kind that is a list": {"model_type": []},
    "a kind that is an object": {"model_type": {"x": 1}},
    "no stages": {"upsample_rates": [], "upsample_kernel_sizes": []},
    "no blocks": {"resblock_kernel_sizes": [], "resblock_dilation_sizes": []},
    "a block without dilations": {"resblock_dilation_sizes": [[1, 3], [1, 3], []]},
    "a kernel too many": {"upsample_kernel_sizes": [16, 16, 8, 8]},
    "a block's kernel too many": {"resblock_kernel_sizes": [3, 7, 11, 3]},
    "a block's dilations too many": {"resblock_dilation_sizes": [[1, 3, 5]] * 4},
    "rates in rates": {"upsample_rates": [[8], [8], [4]]},
    "dilations that are none": {"resblock_dilation_sizes": [1, 3, 5]},
    "a field of audio that is none": {"audio": {"hops": 256}},
    "a field of audio of another kind": {"audio": {"hop": [256]}},
}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A good vocoder's folder."""
    config = SpeechT5HifiGanConfig(
        model_in_dim=80,
        sampling_rate=22_050,
        upsample_initial_channel=16,
        upsample_rates=RATES,
        upsample_kernel_sizes=[2 * rate for rate in RATES],
        audio=asdict(AudioConfig()),
    )
    SpeechT5HifiGan(config).save_pretrained(tmp_path / "theirs")
    return tmp_path / "theirs"


@pytest.mark.parametrize("name", ODD)
def test_odd_fields_are_one_message(name, folder):
    assert len(load_vocoder(str(folder), AudioConfig())(torch.zeros(4, 80))) == 4 * 256
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | ODD[name]))
    with pytest.raises(UserError, match="theirs"):
        load_vocoder(str(folder), AudioConfig())
