"""Rows of the shape of MahtaFetrat/Mana-TTS, spoken by espeak-ng, through the whole of train_main.py."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soxr

pytest.importorskip("espeakng_loader")

from data_pipeline.batching.features import FeatureMaker
from data_pipeline.reading.sources import open_source
from data_pipeline.text.tokens import Vocabulary, normalize_text
from modeling.processor import GoyaProcessor
from testing import small_runs
from tests.data_pipeline.batching.test_features import MAKE
from tests.espeak_voice import RATE_HZ, spoken

SENTENCES = [
    "سلام، حال شما چطور است؟",
    "آب سرد را روی میز گذاشت.",
    "این مسئله را نمی\u200cدانم.",
    "كتاب علي را خواندم.",  # an Arabic keyboard's letters
    "ساعت ۱۲:۳۰ به خانه رسید.",
    "در سال ۱۳۵۷ به دنیا آمد.",
    "او ٣ برادر دارد.",
    "قیمت آن ۵۰٪ کم شد.",
    "کِتابِ مَن کجاست؟",  # with vowel signs
    "خانهٔ ما بزرگ است.",
    "با Windows کار می\u200cکند.",
    "مؤمن و رأی و جزء.",
]
MANA_RATE_HZ = 44_100


@pytest.fixture(scope="module")
def mana(tmp_path_factory):
    """A parquet file with Mana-TTS' columns: the audio as a list of floats, its rate as another column."""
    waves = [soxr.resample(spoken(text, "fa"), RATE_HZ, MANA_RATE_HZ).astype(np.float64) for text in SENTENCES]
    columns = {
        "file name": [f"{index}.wav" for index in range(len(SENTENCES))],
        "transcript": SENTENCES,
        "audio": [wave.tolist() for wave in waves],
        "samplerate": [float(MANA_RATE_HZ)] * len(SENTENCES),
    }
    path = tmp_path_factory.mktemp("mana") / "train.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=4)
    return path


@pytest.mark.parametrize("units", ["characters", "espeak"])
def test_every_row_can_be_learned_from_and_needs_no_bytes(mana, units):
    source, vocabulary = open_source(str(mana)), Vocabulary(units=units)
    make = FeatureMaker(MAKE.audio, MAKE.frames_per_step, language="fa", vocabulary=vocabulary)
    features = [make(source.to_utterance(row)) for row in source.rows()]
    assert [one.text for one in features] == SENTENCES
    assert max(one.tokens_S.max() for one in features) < len(vocabulary) - 256
    assert all(len(one.mel_TC) > 60 for one in features)  # 0.7 s


@pytest.mark.parametrize("units", ["characters", "espeak"])
@pytest.mark.slow
def test_a_run_on_it_ends_and_its_model_reads_persian(mana, units, tmp_path, capsys):
    run = tmp_path / "run"
    sets = ["--set", f"data.text_units={units}", "--set", "data.val_fraction=0.3"]
    assert small_runs.train(run, "--train-data", str(mana), "--language", "fa", "--max-steps", "2", *sets) == 0
    rows = json.loads((run / "report.json").read_text())["rows"]
    assert (rows["broken_rows"], rows["left_out"]) == (0, {})
    assert "--language fa --text 'سلام" in capsys.readouterr().out  # the command that makes it speak
    tokenizer = GoyaProcessor.from_pretrained(run / "best").tokenizer
    ids = tokenizer("ساعت ۵ است.", language="fa")["input_ids"]
    assert tokenizer.vocabulary.units == units and tokenizer.vocabulary.tokens[ids[0]] == "<fa>"
    assert ids == Vocabulary(units=units).encode(normalize_text("ساعت پنج است.", "fa"), "fa")
