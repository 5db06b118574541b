"""What is written becomes what is said, in several languages, and goes through the vocabulary without loss."""

import hashlib
import unicodedata

import pytest

from data_pipeline.errors import UserError
from data_pipeline.languages import LANGUAGES, language_code
from data_pipeline.text.tokens import BYTES, CHARACTERS, Vocabulary, normalize_text

WRITTEN_AND_SAID = [
    ("en", "Hello “World” — it’s 42%", 'hello "world" - it\'s forty-two percent'),
    ("en", "$1, $5.25 or $5 million?", "one dollar, five dollars and twenty-five cents or five million dollars?"),
    ("en", "1st, 22nd; -7° at 12:30", "first, twenty-second; minus seven degrees at twelve thirty"),
    (
        "en",
        "1,234.5 B2B a&b #3 #",
        "one thousand two hundred and thirty-four point five b two b a and b number three hash",
    ),
    ("en", "agent 007", "agent zero zero seven"),
    ("en", "v1.2.3", "v one two three"),
    ("es", "¿1.234,5 € o 3%?", "¿mil doscientos treinta y cuatro coma cinco euros o tres por ciento?"),
    ("es", "el 1º NIÑO", "el primero niño"),
    ("fr", "L’été, 80\u00a0% à 1\u202f234 €", "l'été, quatre-vingts pour cent à mille deux cent trente-quatre euros"),
    ("fr", "1er 2e", "premier deuxième"),
    ("it", "perché 25 £", "perché venticinque sterline"),
    ("de", "Straße 3,5", "straße drei komma fünf"),
    ("ru", "Ёлка 1% 2% 5% 11%", "ёлка один процент два процента пять процентов одиннадцать процентов"),
    ("fa", "۱۲۳ + ٤", "صد و بیست و سه به\u200cعلاوه چهار"),
    ("fa", "۰۷ ۲۰ام ۱٬۲۳۴", "صفر هفت بیستم هزار و دویست و سی و چهار"),
    (None, "۰۷ ٣", "07 3"),
    ("ar", "٣٫١٤", "ثلاثة فاصلة واحد أربعة"),
    ("nl", "1e huis", "eerste huis"),
    ("tr", "ISPARTA İyi", "ısparta iyi"),
    ("zh", "你好 42 %", "你好 42 %"),
    (None, "Hi 42", "hi 42"),
    ("en-US", "tab\tand\nnew\u00a0line \u200f\u202abidi\ufeff\x00", "tab and new line bidi"),
    ("en", "soft\u00adhyphen e\u0301 ﬁne…", "softhyphen é fine..."),
]


@pytest.mark.parametrize(("language", "written", "said"), WRITTEN_AND_SAID)
def test_written_becomes_said(language, written, said):
    assert normalize_text(written, language) == said


PERSIAN_KEPT = ["آب", "مسئله", "می\u200cروم", "مؤمن", "رأی", "خانۀ ما", "جزء", "کِتاب"]


@pytest.mark.parametrize("word", PERSIAN_KEPT)
def test_persian_spelling_is_kept(word):
    assert normalize_text(word, "fa") == word
    assert normalize_text(unicodedata.normalize("NFD", word), "fa") == word


def test_persian_letters_typed_on_an_arabic_keyboard():
    assert normalize_text("كتاب علي موسى ـــ ﻻ", "fa") == "کتاب علی موسی لا"
    assert normalize_text("كتاب علي", "ar") == "كتاب علي"


def test_zwnj_only_inside_words():
    assert normalize_text("\u200cمی\u200c\u200cروم \u200c خانه\u200c", "fa") == "می\u200cروم خانه"


@pytest.mark.parametrize(("language", "written"), [row[:2] for row in WRITTEN_AND_SAID])
def test_normalizing_twice_changes_nothing(language, written):
    once = normalize_text(written, language)
    assert normalize_text(once, language) == once


def test_the_corpus_is_unchanged_but_for_case(recordings):
    for row in recordings:
        assert normalize_text(row["text"], row["language"]) == row["text"].lower()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("fa", "fa"),
        ("fa-IR", "fa"),
        ("fa_IR", "fa"),
        ("Persian", "fa"),
        ("deu", "de"),
        ("xx", None),
        ("", None),
        (None, None),
    ],
)
def test_names_of_languages(name, code):
    assert language_code(name) == code


@pytest.mark.parametrize(
    "text",
    [*(row[2] for row in WRITTEN_AND_SAID), "ΩμEga 🙂 <pad> <0x00> <en>", *PERSIAN_KEPT, "".join(CHARACTERS), ""],
)
def test_vocabulary_loses_nothing(text):
    vocabulary = Vocabulary()
    assert vocabulary.decode(vocabulary.encode(text, "fa")) == text


def test_layout_of_ids():
    vocabulary = Vocabulary()
    english, bos, first, *_, eos = vocabulary.encode("a🙂", "en")
    assert vocabulary.pad_id == 0 and (bos, eos) == (vocabulary.bos_id, vocabulary.eos_id) == (1, 2)
    assert vocabulary.tokens[english] == "<en>" and vocabulary.tokens[first] == "a"
    assert len(vocabulary.encode("a🙂", "en")) == 3 + 1 + 4  # four bytes of UTF-8
    assert vocabulary.encode("a", "Klingon")[0] == vocabulary.encode("a", None)[0] == 3


def test_a_grown_vocabulary_keeps_its_ids_and_reads_what_was_added():
    """Also a language whose code, as a token, would be another's: bos is Bosnian to ISO 639-2."""
    old = Vocabulary()
    grown = Vocabulary.from_json(old.grown(["<bos-lang>", "ω"]).to_json())
    assert grown.tokens[: len(old)] == old.tokens and grown.encode("aé🙂", "en") == old.encode("aé🙂", "en")
    assert grown.encode("ω", "bos-Latn") == [len(old), 1, len(old) + 1, 2] and old.language_id("bos") == 3
    assert grown.decode(grown.encode("aωé", "en")) == "aωé"


def test_the_languages_of_the_corpus_need_no_bytes(recordings):
    vocabulary = Vocabulary()
    first_byte = len(vocabulary) - 256
    sentences = [(row["text"], row["language"]) for row in recordings] + [(w, "fa") for w in PERSIAN_KEPT]
    for text, language in sentences:
        assert max(vocabulary.encode(normalize_text(text, language), language)) < first_byte


def test_the_table_is_frozen():
    """A change here makes every trained model's ids wrong: raise VOCABULARY_VERSION and keep the old table."""
    vocabulary = Vocabulary()
    assert len(vocabulary) == FROZEN_LENGTH and len(LANGUAGES) == 98
    assert hashlib.sha256("\n".join(vocabulary.tokens).encode()).hexdigest()[:16] == FROZEN_HASH


FROZEN_LENGTH, FROZEN_HASH = 777, "f807819c0e0da0bd"


def test_json_round_trip():
    assert Vocabulary.from_json(Vocabulary().to_json()).tokens == Vocabulary().tokens


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"tokens": []}', '{"tokens": ["<pad>", "<pad>"]}'])
def test_a_damaged_vocabulary_is_refused(document):
    with pytest.raises(UserError, match="vocabulary"):
        Vocabulary.from_json(document)


def test_bytes_that_name_the_script_go_first_where_speech_is_fast():
    """Of a Tamil character two bytes of three are those of the one before."""
    table = Vocabulary()
    for text in ("வணக்கம்", "привет ა🙂🙂ბ", "plain"):
        full, once, all_of_them = table.shortenings(table.encode(text, "ta"))
        assert full == table.encode(text, "ta") and len(full) >= len(once) >= len(all_of_them)
        # Each character still ends with the byte that tells it from the others of its script.
        ends = [BYTES[character.encode()[-1]] for character in text if character not in table.tokens]
        kept = iter(table.tokens[index] for index in all_of_them)
        assert all(end in kept for end in ends)
    tamil = table.encode("வணக்கம்", "ta")
    assert [len(ids) for ids in table.shortenings(tamil)] == [3 + 21, 3 + 15, 3 + 12]
    assert list(table.shortenings(table.encode("hello", "en")))[-1] == table.encode("hello", "en")


def test_marks_without_a_time_of_their_own_go_last_where_phonemes_are_fast():
    table = Vocabulary(units="phonemes")
    ids = [table._ids[character] for character in "ˈtʰaːk"]
    assert [table.decode(shorter) for shorter in table.shortenings(ids)][-1] == "tak"
    assert [table.decode(shorter) for shorter in Vocabulary().shortenings(ids)][-1] == "ˈtʰaːk"
