"""Text and clips to the model's tensors, by the same way as training, and back from a folder."""

import io

import numpy as np
import pyarrow.parquet
import pytest
import soundfile
import torch
from transformers import (
    AutoProcessor,
    AutoTokenizer,
)

from data_pipeline.batching.features import FeatureMaker
from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import PRESETS, AudioConfig, decode_audio
from data_pipeline.recordings.speech import speech_spectrum
from data_pipeline.text.tokens import Vocabulary
from data_pipeline.utterance import Utterance
from inference.generation import encode_voice, synthesize
from modeling.configuration import GoyaConfig
from modeling.processor import GoyaFeatureExtractor, GoyaProcessor, GoyaTokenizer


@pytest.fixture(scope="module")
def recordings(demo_corpus) -> list[dict]:
    """Three rows with id, text, audio {bytes, path}, language."""
    return pyarrow.parquet.read_table(demo_corpus / "heldout.parquet").slice(0, 3).to_pylist()


@pytest.fixture(scope="module")
def processor() -> GoyaProcessor:
    return GoyaProcessor()


def test_recordings_become_what_training_sees(processor, recordings):
    make = FeatureMaker(AudioConfig(), frames_per_step=2)
    rows = [make(Utterance(r["id"], r["text"], r["audio"]["bytes"], language=r["language"])) for r in recordings]
    found = processor(
        [r["text"] for r in recordings],
        language=[r["language"] for r in recordings],
        reference=[r["audio"]["bytes"] for r in recordings],
    )
    assert set(found) == {"input_ids", "token_lengths", "reference_mel", "reference_lengths", "reference_spectrum"}
    assert found["token_lengths"].tolist() == [len(row.tokens_S) for row in rows]
    assert found["reference_lengths"].tolist() == [len(row.mel_TC) for row in rows]
    for index, row in enumerate(rows):
        tokens, frames = len(row.tokens_S), len(row.mel_TC)
        assert found["input_ids"][index, :tokens].tolist() == row.tokens_S.tolist()
        assert not found["input_ids"][index, tokens:].any()
        assert torch.equal(found["reference_mel"][index, :frames], torch.from_numpy(row.mel_TC))
        assert (found["reference_mel"][index, frames:] == np.log(np.float32(1e-5))).all()
        assert torch.equal(found["reference_spectrum"][index], speech_spectrum(torch.from_numpy(row.mel_TC)))


@pytest.mark.parametrize("gain_db", [-40, 20])
def test_a_clip_is_heard_at_the_level_of_training(processor, recordings, gain_db):
    """Of a clip 40 dB too quiet, most was under the floor of the mel, and what it said was another voice."""
    wave = decode_audio(recordings[0]["audio"]["bytes"], 22_050)
    clips = wave, wave * np.float32(10 ** (gain_db / 20))
    found, other = (processor("one", reference=clip, sampling_rate=22_050) for clip in clips)
    torch.testing.assert_close(found["reference_mel"], other["reference_mel"], atol=1e-4, rtol=0)
    torch.testing.assert_close(found["reference_spectrum"], other["reference_spectrum"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", ["path", "str", "bytes", "array", "tensor", "list", "batch"])
def test_one_clip_in_every_form_gives_one_mel(processor, recordings, tmp_path, kind):
    wave, rate = soundfile.read(io.BytesIO(recordings[0]["audio"]["bytes"]), dtype="float32")
    path = tmp_path / "clip.wav"
    soundfile.write(path, wave, rate, subtype="FLOAT")
    clip = {
        "path": path,
        "str": str(path),
        "bytes": path.read_bytes(),
        "array": wave,
        "tensor": torch.from_numpy(wave),
        "list": wave.tolist(),
        "batch": torch.from_numpy(wave)[None],
    }[kind]
    found = processor.feature_extractor(clip, sampling_rate=rate)
    expected = processor.feature_extractor([recordings[0]["audio"]["bytes"]])
    assert torch.equal(found["reference_mel"], expected["reference_mel"])
    assert found["reference_mel"].dtype == torch.float32 and found["reference_mel"].shape[2] == 80


def test_one_language_and_one_clip_serve_all_texts(processor, recordings):
    clip = recordings[0]["audio"]["bytes"]
    found = processor(["One.", "Two."], language="en", reference=clip)
    assert found["reference_mel"].shape[0] == 2 and torch.equal(*found["reference_mel"])
    english, unknown = Vocabulary().language_id("en"), Vocabulary().language_id(None)
    assert found["input_ids"][:, 0].tolist() == [english] * 2
    assert processor("One.")["input_ids"][0, 0] == unknown != english
    assert set(processor("One.")) == {"input_ids", "token_lengths"}


def test_tokenizer_normalizes_and_reads_back():
    tokenizer = GoyaTokenizer()
    ids = tokenizer("I have 3 Cats, 日!", language="en")["input_ids"]
    assert ids == Vocabulary().encode("i have three cats, 日!", "en")
    assert tokenizer.decode(ids) == "i have three cats, 日!"
    assert tokenizer.convert_tokens_to_ids(tokenizer.convert_ids_to_tokens(ids)) == ids
    assert tokenizer.convert_ids_to_tokens(ids)[:2] == ["<en>", "<bos>"]
    assert len(tokenizer) == tokenizer.vocab_size == len(Vocabulary()) <= GoyaConfig().vocab_size


def test_persian_letters_survive():
    tokenizer = GoyaTokenizer()
    assert tokenizer.decode(tokenizer("آب مسئله می‌شود ۳", language="fa")["input_ids"]) == "آب مسئله می‌شود سه"


def test_no_text_can_spell_a_special_token():
    ids = GoyaTokenizer()("go <bos> <eos> <pad> <fa>", language="en")["input_ids"]
    special = {0, 1, 2, Vocabulary().language_id("fa")}
    assert not special & set(ids[2:-1]) and len(ids) == len("go <bos> <eos> <pad> <fa>") + 3


def test_tokenizer_pads_as_transformers_does():
    found = GoyaTokenizer()(["hello there", "no"], language="en", padding=True, return_tensors="pt")
    assert found["attention_mask"].sum(1).tolist() == [11 + 3, 2 + 3]
    assert not found["input_ids"][1, 5:].any() and found["input_ids"][1, :5].all()


@pytest.mark.parametrize("auto", [False, True])
def test_a_folder_gives_the_same_processor(tmp_path, recordings, auto):
    saved = GoyaProcessor(GoyaFeatureExtractor(sample_rate_hz=16_000, n_mels=40), GoyaTokenizer())
    saved.save_pretrained(tmp_path)
    loaded = (AutoProcessor if auto else GoyaProcessor).from_pretrained(tmp_path)
    assert type(loaded) is GoyaProcessor
    assert loaded.feature_extractor.audio_config == AudioConfig(sample_rate_hz=16_000, n_mels=40)
    assert loaded.feature_extractor.sampling_rate == 16_000
    assert loaded.tokenizer.get_vocab() == saved.tokenizer.get_vocab()
    texts, languages = ["Hi there", "Ça va ?"], ["en", "fr"]
    expected, found = (one(texts, languages, recordings[0]["audio"]["bytes"]) for one in (saved, loaded))
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_saved_vocabulary_is_the_one_that_is_loaded(tmp_path):
    """Not this version's table: a model trained with another one must keep it."""
    tokenizer = GoyaTokenizer()
    tokens = tokenizer.vocabulary.tokens
    a, b = tokens.index("a"), tokens.index("b")
    tokens[a], tokens[b] = "b", "a"
    tokenizer.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)("a", language="en")["input_ids"][2] == b
    (tmp_path / "vocabulary.json").write_text("{}")
    with pytest.raises(UserError, match="vocabulary cannot be read"):
        GoyaTokenizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_audio_preset_survives_the_folder(tmp_path, preset):
    GoyaFeatureExtractor(**vars(PRESETS[preset])).save_pretrained(tmp_path)
    assert GoyaFeatureExtractor.from_pretrained(tmp_path).audio_config == PRESETS[preset]


def test_the_model_takes_what_the_processor_gives(model, processor, recordings):
    found = processor(["One.", "Two, three."], language="en", reference=recordings[0]["audio"]["bytes"])
    frames = found["reference_lengths"]
    output = model(**found, mel=found["reference_mel"], mel_lengths=frames)
    assert output.mel_after_BTC.shape == found["reference_mel"].shape
    model.config.max_token_steps = 3
    voice = encode_voice(model, found["reference_mel"][0, : frames[0]])
    assert len(synthesize(model, found["input_ids"], found["token_lengths"], voice.expand(2, -1))) == 2


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"text": []}, "at least one text"),
        ({"text": ["fine", " ... "]}, "nothing to speak"),
        ({"text": ["a", "b", "c"], "language": ["en", "fr"]}, "found 2 languages for 3 texts"),
        ({"text": "a", "reference": np.ones(9000)}, "without its sampling_rate"),
        ({"text": "a", "reference": np.zeros(9000), "sampling_rate": 22050}, "silent"),
        ({"text": "a", "reference": [], "sampling_rate": 22050}, "at least one text or clip"),
        ({"text": "a", "reference": "nowhere.wav"}, "nowhere.wav does not exist"),
        ({"text": "a", "reference": np.random.default_rng(0).normal(size=(2, 9000)), "sampling_rate": 22050},
         "found 2 reference clips for 1 texts"),
    ],
)  # fmt: skip
def test_mistakes_are_named(processor, inputs, message):
    with pytest.raises(UserError, match=message):
        processor(**inputs)
