"""What espeak-ng says, with the text's own punctuation."""

import pytest

pytest.importorskip("espeakng_loader", reason='needs the extra: pip install -e ".[espeak]"')

from data_pipeline.errors import UserError
from data_pipeline.phonemes import espeak
from data_pipeline.phonemes.espeak import phonemize
from data_pipeline.text.tokens import Vocabulary, normalize_text
from testing import small_runs
from training.state.checksums import seal


@pytest.mark.parametrize(("text", "language", "expected"), [
    ("hello world", "en", "həlˈoʊ wˈɜːld"),
    ('"hello" (world) - well-known... ok', "en", '"həlˈoʊ" (wˈɜːld) wˈɛlnˈoʊn... ˌoʊkˈeɪ'),
    ("it's five o'clock.", "en", "ɪts fˈaɪv əklˈɑːk."),
    ("¿qué tal, señor?", "es", "¿kˈe tˈal, seɲˈoɾ?"),
    ("votre mot de passe.", "fr", "votʁ mˈo də- pˈas."),
    ("سلام، دنیا", "fa", "salˈɑm، dˈonjɑ"),
    ("привет, мир!", "Russian", "prʲivʲˈet, mʲˈir!"),
    ("नमस्ते, आप कैसे हैं?", "hi", "nəmˈʌsteː, ˌaːp kˈɛːseː hɛ̃?"),
    ("שָׁלוֹם", "he", "ʃalˈom"),
    ("hello, привет", "ru", "həlˈəʊ, prʲivʲˈet"),
    ("にほんご", "ja", "nihˈo̞ŋɡo̞"),
    ("...", "en", "..."),
])  # fmt: skip
def test_what_is_said(text, language, expected):
    assert phonemize(text, language) == expected


@pytest.mark.parametrize("language, text", {
    "hi": "नमस्ते", "bn": "ধন্যবাদ", "ta": "வணக்கம்", "te": "నమస్కారం", "kn": "ನಮಸ್ಕಾರ", "ml": "നമസ്കാരം", "gu": "નમસ્તે",
    "pa": "ਸਤਿ ਸ੍ਰੀ ਅਕਾਲ", "mr": "धन्यवाद", "ne": "नमस्ते", "si": "ආයුබෝවන්", "my": "မင်္ဂလာပါ", "th": "สวัสดี", "or": "ନମସ୍କାର",
    "as": "নমস্কাৰ", "he": "שָׁלוֹם", "ar": "مَرْحَبًا", "vi": "xin chào",
}.items())  # fmt: skip
def test_vowel_signs_belong_to_their_words(language, text):
    """Taken for punctuation they stood in what was read, and each syllable was read by itself."""
    text = normalize_text(text, language)
    assert not set(phonemize(text, language)) & {character for character in text if not character.isascii()}


@pytest.mark.parametrize(("language", "text"), [("ja", "日本語"), ("ru", "привет 日本"), ("fa", "سلام 日本")])
def test_characters_that_it_would_name_are_an_error(language, text):
    with pytest.raises(UserError, match="espeak-ng cannot read"):
        phonemize(text, language)


def test_homographs_in_two_languages_do_not_mix():
    """The library holds one voice at a time."""
    assert [phonemize("message", language) for language in ("en", "fr", "en")] == ["mˈɛsɪdʒ", "mɛsˈaʒ", "mˈɛsɪdʒ"]


@pytest.mark.parametrize(("language", "said"), [
    (None, "a row names none. Give --language"),
    ("zu", "espeak-ng has no phonemes for the language 'zu'"),
])  # fmt: skip
def test_a_language_it_cannot_read_is_an_error(language, said):
    with pytest.raises(UserError, match=said):
        phonemize("words", language)


def test_the_corpus_needs_no_bytes(demo_corpus):
    vocabulary = Vocabulary(units="espeak")
    first_byte = len(vocabulary) - 256
    for row in small_runs.rows():
        ids = vocabulary.encode(normalize_text(row["text"], row["language"]), row["language"])
        assert max(ids) < first_byte, row["text"]


@pytest.mark.slow
def test_a_run_of_before_goes_on_with_the_phonemes_that_it_had(tmp_path, capsys):
    """What its settings call phonemes were espeak-ng's; the same word now means others."""
    run = tmp_path / "run"
    assert small_runs.train(run, "--max-steps", "1", "--set", "data.text_units=espeak") == 0
    (checkpoint,) = run.glob("checkpoints/step-*")
    for name, old, new in (
        ("vocabulary.json", '"version": 3, "units": "espeak", "phonemized": []', '"version": 2, "units": "phonemes"'),
        ("training_state.json", '"text_units": "espeak"', '"text_units": "phonemes"'),
    ):
        text = (checkpoint / name).read_text(encoding="utf-8")
        assert old in text
        (checkpoint / name).write_text(text.replace(old, new), encoding="utf-8")
    (checkpoint / "checksums.json").unlink()
    seal(checkpoint)
    assert small_runs.train(run, "--max-steps", "2") == 2
    assert "was trained with data.text_units=espeak" in capsys.readouterr().err
    assert small_runs.train(run, "--max-steps", "2", "--set", "data.text_units=espeak") == 0


def test_a_missing_package_is_an_error_before_training(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(espeak, "is_installed", lambda: False)
    assert small_runs.train(tmp_path / "run", "--set", "data.text_units=espeak") == 2
    assert 'run pip install -e ".[espeak]"' in capsys.readouterr().err
