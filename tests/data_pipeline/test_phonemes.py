"""Text to phonemes: what espeak-ng says, with the text's own punctuation."""

import pytest

pytest.importorskip("espeakng_loader")

from data_pipeline import phonemes
from data_pipeline.errors import UserError
from data_pipeline.features import FeatureMaker
from data_pipeline.phonemes import phonemise
from data_pipeline.text import Vocabulary, normalise_text
from modeling.processor import GoyaProcessor, GoyaTokenizer
from tests import small_runs
from tests.data_pipeline.test_features import MAKE


@pytest.mark.parametrize(("text", "language", "expected"), [
    ("hello world", "en", "həlˈoʊ wˈɜːld"),
    ('"hello" (world) - well-known... ok', "en", '"həlˈoʊ" (wˈɜːld) wˈɛlnˈoʊn... ˌoʊkˈeɪ'),
    ("it's five o'clock.", "en", "ɪts fˈaɪv əklˈɑːk."),
    ("¿qué tal, señor?", "es", "¿kˈe tˈal, seɲˈoɾ?"),
    ("votre mot de passe.", "fr", "votʁ mˈo də- pˈas."),
    ("سلام، دنیا", "fa", "salˈɑm، dˈonjɑ"),
    ("привет, мир!", "Russian", "prʲivʲˈet, mʲˈir!"),
    ("...", "en", "..."),
])  # fmt: skip
def test_what_is_said(text, language, expected):
    assert phonemise(text, language) == expected


def test_homographs_in_two_languages_do_not_mix():
    """The library holds one voice at a time."""
    assert [phonemise("message", language) for language in ("en", "fr", "en")] == ["mˈɛsɪdʒ", "mɛsˈaʒ", "mˈɛsɪdʒ"]


@pytest.mark.parametrize(("language", "said"), [
    (None, "a row names none. Give --language"),
    ("zu", "espeak-ng has no phonemes for the language 'zu'"),
])  # fmt: skip
def test_a_language_it_cannot_read_is_an_error(language, said):
    with pytest.raises(UserError, match=said):
        phonemise("words", language)


def test_the_corpus_needs_no_bytes(demo_corpus):
    vocabulary = Vocabulary(units="phonemes")
    first_byte = len(vocabulary) - 256
    for row in small_runs.rows():
        ids = vocabulary.encode(normalise_text(row["text"], row["language"]), row["language"])
        assert max(ids) < first_byte, row["text"]


def test_training_and_synthesis_read_alike_after_saving(tmp_path):
    tokenizer = GoyaTokenizer(vocabulary=Vocabulary(units="phonemes"))
    tokenizer.save_pretrained(tmp_path)
    loaded, source = GoyaTokenizer.from_pretrained(tmp_path), small_runs.source()
    make = FeatureMaker(MAKE.audio, MAKE.frames_per_step, vocabulary=Vocabulary(units="phonemes"))
    utterance = next(source.to_utterance(row) for row in source.rows())
    ids = make(utterance).tokens_S.tolist()
    assert loaded(utterance.text, language=utterance.language)["input_ids"] == ids
    assert ids != GoyaTokenizer()(utterance.text, language=utterance.language)["input_ids"]
    assert loaded.decode(ids) == phonemise(normalise_text(utterance.text, "en"), "en")


def test_a_vocabulary_of_before_has_characters():
    old = Vocabulary().to_json().replace('"version": 2, "units": "characters", ', '"version": 1, ')
    assert "units" not in old and Vocabulary.from_json(old).units == "characters"


def test_a_missing_package_is_an_error_before_training(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(phonemes, "is_installed", lambda: False)
    assert small_runs.train(tmp_path / "run", "--set", "data.text_units=phonemes") == 2
    assert 'run pip install -e ".[espeak]"' in capsys.readouterr().err


def test_a_run_reads_phonemes_and_its_model_speaks_them(tmp_path):
    """With a loading process, and no --language to synthesize.py, which takes English."""
    run, wav = tmp_path / "run", tmp_path / "hello.wav"
    units = ["--set", "data.text_units=phonemes", "--num-workers", "1"]
    assert small_runs.train(run, "--max-steps", "2", *units) == 0
    assert small_runs.train(run, "--max-steps", "3", *units[2:]) == 2  # it does not go on with characters
    script = small_runs.ROOT / "synthesize.py"
    done = small_runs.launch(script, run, "--text", "Hello.", "--out", wav, "--picture", tmp_path / "hello.png")
    assert done.returncode == 0 and wav.is_file(), done.stderr
    assert GoyaProcessor.from_pretrained(run / "best").tokenizer.vocabulary.units == "phonemes"
