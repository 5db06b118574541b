"""The recogniser hears the committed recordings, and says plainly what it cannot do."""

from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
import torch

from data_pipeline.audio import decode_audio
from data_pipeline.errors import UserError
from evaluation import asr
from evaluation.asr import RECOGNISERS, load_recogniser
from evaluation.text_metrics import character_error_rate

HELDOUT = Path(__file__).parents[2] / "assets" / "demo_corpus" / "heldout.parquet"


@pytest.mark.parametrize("name", RECOGNISERS)
def test_real_recordings_are_understood(name):
    pytest.importorskip("moonshine_voice", reason='needs the extra: pip install -e ".[eval]"')
    pytest.importorskip("rapidfuzz", reason='needs the extra: pip install -e ".[eval]"')
    recognise = load_recogniser(name)
    table = pyarrow.parquet.read_table(HELDOUT, filters=[("language", "=", "en")])
    rows = [row for row in table.to_pylist() if row["duration_s"] >= 2][:6]
    heard = [recognise(torch.from_numpy(decode_audio(row["audio"]["bytes"], 22_050)), 22_050) for row in rows]
    said = [row["text"] for row in rows]
    assert character_error_rate(heard, said) < 0.1  # measured: about 0.02 over 100 recordings of this speaker
    assert character_error_rate(heard, said[::-1]) > 0.4  # it listens: another sentence's text does not fit


def test_silence_is_heard_as_nothing():
    pytest.importorskip("moonshine_voice", reason='needs the extra: pip install -e ".[eval]"')
    assert load_recogniser()(np.zeros(16_000, dtype=np.float32), 16_000) == ""


def test_other_languages_are_refused():
    with pytest.raises(UserError, match="English only.*'fr'"):
        load_recogniser("moonshine", language="fr")


def test_unknown_name_lists_the_known():
    with pytest.raises(UserError, match="expected one of moonshine"):
        load_recogniser("whisper-9")


def test_missing_extra_names_the_command(monkeypatch):
    monkeypatch.setattr(asr.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r'pip install -e "\.\[eval\]"'):
        load_recogniser()
