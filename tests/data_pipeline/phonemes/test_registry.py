"""Phonemes by what is installed by default: what is said, what is left alone, what a model keeps of it."""

import json
import subprocess
import sys
import unicodedata

import pytest

from data_pipeline.batching.features import FeatureMaker
from data_pipeline.errors import UserError
from data_pipeline.phonemes.registry import PHONEMIZERS, phonemize
from data_pipeline.text.tokens import Vocabulary, normalize_text
from modeling.processor import GoyaProcessor, GoyaTokenizer
from testing import small_runs
from tests.data_pipeline.batching.test_features import MAKE


@pytest.mark.parametrize(("text", "language", "expected"), [
    ("hello world", "en", "həlˈoʊ wˈɜɹld"),
    ('"hello" (world), re-entered... ok', "en", '"həlˈoʊ" (wˈɜɹld), ɹiˈɛntəɹd... ˌoʊkˈeɪ'),
    ("a record to record", "en", "ɐ ɹˈɛkəɹd tə ɹəkˈɔɹd"),  # homographs by part of speech
    ("the pbx", "en", "ðə pˌibˌiˈɛks"),  # letters where nothing can be said
    ("a façade in москва", "en", "ɐ fəsˈɑd ˈɪn москва"),
    ("¿para qué? pulse nueve.", "es", "¿paɾa kˈe? pˈulse nwˈeβe."),
    ("el rey y la ley", "es", "el rˈej i la lˈej"),
    ("pingüino, guitarra, gente, jugar", "es", "piŋɡwˈino, ɡitˈara, xˈente, xuɣˈaɾ"),
    ("méxico, examen, xilófono", "es", "mˈexiko, eksˈamen, silˈofono"),
    ("país, día, ciudad, cuidado", "es", "paˈis, dˈia, sjuðˈað, kwiðˈaðo"),
    ("rápidamente", "es", "rˌapiðamˈente"),
    ("extensión, extension", "es", "ekstensjˈon, ekstensjˈon"),  # -ion without its accent
    ("un beso, en casa, un gato", "es", "um bˈeso, eŋ kˈasa, uŋ ɡˈato"),
    ("pbx", "es", "pˈe βˈe ˈekis"),
    ("muy bien", "es", "mˈuj βjˈen"),
    ("les enfants", "fr", "lez ɑ̃fɑ̃"),
    ("l'œuf — c'est où?", "fr", "lœf — sɛ u?"),
    ("città, perché", "it", "ʧittˈa, perkˈe"),
    ("tavolo, prossimo", "it", "tˈavolo, prˈɔssimo"),
    ("...", "en", "..."),
    ("", "es", ""),
])  # fmt: skip
def test_what_is_said(text, language, expected):
    assert phonemize(text, language) == unicodedata.normalize("NFD", expected) or phonemize(text, language) == expected


@pytest.mark.parametrize("code", PHONEMIZERS)
@pytest.mark.parametrize("text", ["привет", "日本語", "3", "!?", " , ", "x", "'", "-", "a-b'c", "ñ ü ß ø", "qqq", "hh"])
def test_nothing_is_lost_or_made_up(code, text):
    """A word that no language module reads stays as written, and what it reads says something."""
    said = phonemize(text, code)
    assert [c for c in said if not c.isalnum() and c in "!?,"] == [c for c in text if c in "!?,"]
    if not any(unicodedata.name(c, "").startswith("LATIN") for c in text):
        assert said == " ".join(text.split())


READ_TWICE = """
import sys, pyarrow.parquet
from data_pipeline.phonemes.registry import phonemize
from data_pipeline.text.tokens import normalize_text
code, *files = sys.argv[1:]
rows = [row for file in files for row in pyarrow.parquet.read_table(file, columns=["text"]).to_pylist()]
texts = [normalize_text(row["text"], code) for row in rows[:250]]
first = [phonemize(text, code) for text in texts]
again = [phonemize(text, code) for text in reversed(texts)][::-1]
print(*[f"{one!r} then {other!r}" for one, other in zip(first, again) if one != other][:3], sep="\\n")
"""


@pytest.mark.parametrize("code", PHONEMIZERS)
@pytest.mark.slow
def test_what_was_read_before_changes_nothing(code):
    """In a process of its own, which has read nothing: gruut kept the liaisons of one sentence for the next."""
    files = sorted(small_runs.DEMO.glob(f"train-{code}.parquet")) or sorted(small_runs.DEMO.glob("train-*.parquet"))
    command = [sys.executable, "-c", READ_TWICE, code, *map(str, files)]
    ended = subprocess.run(command, cwd=small_runs.ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout.strip() == ""


@pytest.mark.parametrize("code", ["en", "es", "fr"])
def test_the_corpus_needs_no_bytes_and_is_read_as_phonemes(demo_corpus, code):
    vocabulary = Vocabulary(units="phonemes")
    first_byte = len(vocabulary) - 256
    for row in small_runs.rows():
        if row["language"] == code:
            text = normalize_text(row["text"], code)
            assert max(vocabulary.encode(text, code)) < first_byte, row["text"]
            assert vocabulary.spoken(text, code) != text or not any(c.isalpha() for c in text)


def test_training_and_synthesis_read_alike_after_saving(tmp_path):
    tokenizer = GoyaTokenizer(vocabulary=Vocabulary(units="phonemes"))
    tokenizer.save_pretrained(tmp_path)
    loaded, source = GoyaTokenizer.from_pretrained(tmp_path), small_runs.source()
    make = FeatureMaker(MAKE.audio, MAKE.frames_per_step, vocabulary=Vocabulary(units="phonemes"))
    utterance = next(source.to_utterance(row) for row in source.rows())
    ids = make(utterance).tokens_S.tolist()
    assert loaded(utterance.text, language=utterance.language)["input_ids"] == ids
    assert ids != GoyaTokenizer()(utterance.text, language=utterance.language)["input_ids"]
    assert loaded.decode(ids) == phonemize(normalize_text(utterance.text, "en"), "en")


def test_a_model_reads_only_the_languages_it_was_trained_with_as_phonemes():
    """So that a language that gets phonemes later does not change how an old model reads it."""
    before = Vocabulary(units="phonemes", phonemized=("en",))
    loaded = Vocabulary.from_json(before.grown(["<xx-lang>"]).to_json())
    assert loaded.spoken("hola", "es") == "hola" and loaded.spoken("hello", "en") == "həlˈoʊ"
    assert loaded.spoken("سلام", "fa") == "سلام" and loaded.spoken("hello", None) == "hello"


def test_vocabularies_of_before():
    def old(version: int, **more) -> Vocabulary:
        document = json.loads(Vocabulary().to_json())
        return Vocabulary.from_json(json.dumps({"version": version, "tokens": document["tokens"], **more}))

    assert old(1).units == old(2, units="characters").units == "characters"
    assert old(2, units="phonemes").units == "espeak"


def test_a_language_of_a_later_version_is_an_error():
    with pytest.raises(UserError, match="reads xx as phonemes, which this version of Goya cannot"):
        Vocabulary(units="phonemes", phonemized=("en", "xx"))


def test_phonemes_by_hand_for_a_language_without_them_are_refused(tmp_path, capsys):
    arguments = ["--language", "fa", "--set", "data.text_units=phonemes"]
    assert small_runs.train(tmp_path / "run", *arguments) == 2
    assert "none of the languages that have them: en, es, fr, it" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_reads_phonemes_by_default_and_its_model_speaks_them(tmp_path):
    """With a loading process, and no --language to synthesize.py, which takes English."""
    run, wav = tmp_path / "run", tmp_path / "hello.wav"
    workers = ["--num-workers", "1"]
    assert small_runs.train(run, "--max-steps", "2", *workers) == 0
    characters = ["--set", "data.text_units=characters"]
    assert small_runs.train(run, "--max-steps", "3", *workers, *characters) == 2  # it does not go on with these
    script = small_runs.ROOT / "synthesize.py"
    done = small_runs.launch(script, run, "--text", "Hello.", "--out", wav, "--picture", tmp_path / "hello.png")
    assert done.returncode == 0 and wav.is_file(), done.stderr
    assert GoyaProcessor.from_pretrained(run / "best").tokenizer.vocabulary.units == "phonemes"
