"""Figures, signs and abbreviations as people say them, language by language; and what holds of any text."""

import random
import re

import pytest

from data_pipeline.normalize.reading import RULES
from data_pipeline.text.sentences import split_sentences
from data_pipeline.text.tokens import Vocabulary, normalize_text

SAID = {
    "en": [
        ("1,234; 1234.5", "; ".join(["one thousand two hundred and thirty-four"] * 2) + " point five"),
        ("2500000", "two million five hundred thousand"),
        ("the 3rd, the 21st", "the third, the twenty-first"),
        ("5-10 kg, 3-2", "five to ten kilograms, three-two"),
        ("-7°C (-2)", "minus seven degrees celsius (minus two)"),
        ("In 1999, since 1905, in 2000, in 2007, in 2024.",
         "in nineteen ninety-nine, since nineteen oh five, in two thousand, in two thousand and seven, "
         "in twenty twenty-four."),
        ("1999 items", "one thousand nine hundred and ninety-nine items"),
        ("in 1999 people", "in one thousand nine hundred and ninety-nine people"),
        ("the 1990s, the '80s", "the nineteen nineties, the eighties"),
        ("1914-1918, from 1990 to 1995",
         "nineteen fourteen to nineteen eighteen, from nineteen ninety to nineteen ninety-five"),
        ("the mid-1980s and 2000s", "the mid-nineteen eighties and two thousands"),
        ("$5-$10, US$3, 10%-20%", "five to ten dollars, three dollars, ten to twenty percent"),
        ("C++, AT&T", "c plus plus, at and t"),
        ("March 15, 2024", "march fifteenth, twenty twenty-four"),
        ("on 15 March", "on the fifteenth of march"),
        ("the 4th of July 1976", "the fourth of july, nineteen seventy-six"),
        ("12/25/2024; 25/12/2024; 2024-12-25", "; ".join(["december twenty-fifth, twenty twenty-four"] * 3)),
        ("13/13/2024", "thirteen/thirteen/two thousand and twenty-four"),
        ("9:05, 9:00, 12:30, 14:00", "nine oh five, nine o'clock, twelve thirty, fourteen hundred"),
        ("5pm or 5:30 A.M.", "five p.m. or five thirty a.m."),
        ("(555) 123-4567", "five five five, one two three, four five six seven"),
        ("1-800-555-1234", "one, eight zero zero, five five five, one two three four"),
        ("+44 20 7946 0958", "plus four four, two zero, seven nine four six, zero nine five eight"),
        ("Call 555-1234 or 8005551234.",
         "call five five five, one two three four or eight zero zero five five five one two three four."),
        ("dial 911, extension 1234", "dial nine one one, extension one two three four"),
        ("$1, $5.25, $0.01, £2.50, $1,000", "one dollar, five dollars and twenty-five cents, one cent, "
         "two pounds and fifty pence, one thousand dollars"),
        ("€3 million", "three million euros"),
        ("1 km at 60 km/h, 100 m²", "one kilometer at sixty kilometers per hour, one hundred square meters"),
        ("1/2 cup", "one half cup"),
        ("Dr. Smith, Mr. Jones and Mrs. Lee", "doctor smith, mister jones and missus lee"),
        ("St. John lives on Main St.", "saint john lives on main street."),
        ("cats, dogs, etc. They", "cats, dogs, et cetera. they"),
        ("cities, e.g. London, i.e., the big ones", "cities, for example london, that is, the big ones"),
        ("No. 5, no, 5", "number five, no, five"),
        ("U.S. news at a.m.", "u.s. news at a.m."),
    ],
    "es": [
        ("21 €, 200 £, 21000", "veintiún euros, doscientas libras, veintiún mil"),
        ("3,14 y 2,05", "tres coma catorce y dos coma cero cinco"),
        ("1.º, 2ª, 3er", "primero, segunda, tercer"),
        ("el 1 de mayo de 1999", "el primero de mayo de mil novecientos noventa y nueve"),
        ("15/3/2024", "quince de marzo de dos mil veinticuatro"),
        ("a la 1:05 y a las 21:30 h", "a la una y cinco y a las veintiuna y treinta"),
        ("al 912 345 678", "al nueve uno dos, tres cuatro cinco, seis siete ocho"),
        ("$5.000.000", "cinco millones de dólares"),
        ("5 millones €", "cinco millones de euros"),
        ("5,50 €", "cinco euros con cincuenta céntimos"),
        ("5-10 km", "cinco a diez kilómetros"),
        ("El Sr. y la Sra. García, Ud., p. ej., en EE. UU.",
         "el señor y la señora garcía, usted, por ejemplo, en estados unidos."),
        ("pág. 7, n.º 3", "página siete, número tres"),
    ],
    "fr": [
        ("71, 80, 21 000 000", "soixante-et-onze, quatre-vingts, vingt-et-un millions"),
        ("3,14; 0,05; 9,0", "trois virgule quatorze; zéro virgule zéro cinq; neuf virgule zéro"),
        ("1er, 1re, 3e", "premier, première, troisième"),
        ("le 1 mars 2024", "le premier mars deux mille vingt-quatre"),
        ("15/03/1999", "quinze mars mille neuf cent quatre-vingt-dix-neuf"),
        ("à 21h30, à 1 h, 9:05", "à vingt-et-une heures trente, à une heure, neuf heures cinq"),
        ("01 23 45 67 89", "zéro un, vingt-trois, quarante-cinq, soixante-sept, quatre-vingt-neuf"),
        ("21 €, 1 £, 5,50 €", "vingt-et-un euros, une livre, cinq euros cinquante"),
        ("5 millions €, 2 millions $", "cinq millions d'euros, deux millions de dollars"),
        ("M. Dupont, Mme Durand, Mlle. Petit", "monsieur dupont, madame durand, mademoiselle petit"),
        ("2nde, 50 av. J.-C., 3/4", "seconde, cinquante avant jésus-christ, trois quarts"),
        ("à St-Denis, c.-à-d. n° 4", "à saint-denis, c'est-à-dire numéro quatre"),
    ],
    "it": [
        ("3,14; 21 €; 1 £", "tre virgola quattordici; ventun euro; una sterlina"),
        ("il 1 maggio 1999", "il primo maggio millenovecentonovantanove"),
        ("15/3/2024", "quindici marzo duemilaventiquattro"),
        ("alle 9:30", "alle nove e trenta"),
        ("06 1234567", "zero sei, uno due tre quattro cinque sei sette"),
        ("5,50 €", "cinque euro e cinquanta centesimi"),
        ("2 milioni $", "due milioni di dollari"),
        ("il Sig. Rossi, la Sig.ra Bianchi, ecc.", "il signor rossi, la signora bianchi, eccetera."),
        ("la 2ª, pag. 7", "la seconda, pagina sette"),
    ],
    "de": [
        ("1 €, 21 km", "ein euro, einundzwanzig kilometer"),
        ("1999 kamen 2000", "neunzehnhundertneunundneunzig kamen zweitausend"),
        ("1.999 €", "eintausendneunhundertneunundneunzig euro"),
        ("am 15. März 2024", "am fünfzehnten märz zweitausendvierundzwanzig"),
        ("der 1. Mai, 3. Oktober", "der erste mai, dritter oktober"),
        ("vom 15.3.2024", "vom fünfzehnten märz zweitausendvierundzwanzig"),
        ("um 12:30 Uhr, 12.45 Uhr, 1 Uhr", "um zwölf uhr dreißig, zwölf uhr fünfundvierzig, ein uhr"),
        ("0171/1234567", "null eins sieben eins, eins zwei drei vier fünf sechs sieben"),
        ("5,50 €, 5 Mio. €", "fünf euro fünfzig, fünf millionen euro"),
        ("Dr. Müller, z. B. Hauptstr. 5, usw.", "doktor müller, zum beispiel hauptstraße fünf, und so weiter."),
        ("5-10 km", "fünf bis zehn kilometer"),
        ("der 2. Weltkrieg, am 3. Tag", "der zweite weltkrieg, am dritten tag"),
        ("am 15.3. kam er, 3.5 kam", "am fünfzehnten märz kam er, drei komma fünf kam"),
        ("die 90er, 1,5 Mio. Menschen, 10 000", "die neunziger, eins komma fünf millionen menschen, zehntausend"),
        ("Ich habe 3. Du", "ich habe drei. du"),
    ],
    "ru": [
        ("1 ₽, 2 руб. 21 мин", "один рубль, два рубля двадцать одна минута"),
        ("5,50 ₽", "пять рублей пятьдесят копеек"),
        ("1,5 км, 3,14", "одна целая пять десятых километра, три целых четырнадцать сотых"),
        ("5 млн руб.", "пять миллионов рублей"),
        ("15 марта 2024 года", "пятнадцатого марта две тысячи двадцать четвёртого года"),
        ("15.03.2024", "пятнадцатого марта две тысячи двадцать четвёртого года"),
        ("в 1999 году, 2000 год, с 1998 г.",
         "в тысяча девятьсот девяносто девятом году, двухтысячный год, с тысяча девятьсот девяносто восьмого года"),
        ("в 12:30, 9:05, 21:00", "в двенадцать тридцать, девять ноль пять, двадцать один час"),
        ("8 (495) 123-45-67", "восемь, четыреста девяносто пять, сто двадцать три, сорок пять, шестьдесят семь"),
        ("1-й, 2-я, 3-е", "первый, вторая, третье"),
        ("90-е, в 90-х, 2-х, 21 века, 10 000",
         "девяностые, в девяностых, двух, двадцать первого века, десять тысяч"),
        ("ул. Ленина, д. 5, кв. 10", "улица ленина, дом пять, квартира десять"),
        ("т. е. это и т. д.", "то есть это и так далее."),
    ],
    "ar": [
        ("١٢٣٤", "ألف ومئتان وأربعة وثلاثون"),
        ("٪٥٠ و 50%", "خمسون بالمئة و خمسون بالمئة"),
        ("١٥ مارس ٢٠٢٤", "الخامس عشر من مارس ألفان وأربعة وعشرون"),
        ("الساعة 3:15 و 9:45 م", "الساعة الثالثة والربع و العاشرة إلا ربعا مساء"),
        ("3:30", "الثالثة والنصف"),
        ("٠١٢٣٤٥٦٧", "صفر واحد اثنان ثلاثة أربعة خمسة ستة سبعة"),
        ("5-10 كم", "خمسة إلى عشرة كيلومتر"),
        ("د. أحمد", "دكتور أحمد"),
        ("قالَ أَحَد. ثم", "قالَ أَحَد. ثم"),
        ("سنة 1445هـ", "سنة ألف وأربعمائة وخمسة وأربعون هجري"),
    ],
    "fa": [
        ("۱۲۳۴ ١٢٣٤ 1234", " ".join(["هزار و دویست و سی و چهار"] * 3)),
        ("۳٫۵ ۳٫۱۴ ۰٫۰۵ ۲٫۰", "سه و نیم سه و چهارده صدم پنج صدم دو ممیز صفر"),
        ("۳/۵ درصد", "سه و نیم درصد"),
        ("۲۰ام ۳۰ام ۲۰مین", "بیستم سی\u200cام بیستمین"),
        ("۱۵ مهر ۱۴۰۲", "پانزدهم مهر هزار و چهارصد و دو"),
        ("۱۴۰۲/۰۵/۱۲", "دوازدهم مرداد هزار و چهارصد و دو"),
        ("2024/03/15", "پانزدهم مارس دو هزار و بیست و چهار"),
        ("ساعت ۱۲:۳۰ و ۹:۰۰", "ساعت دوازده و سی دقیقه و نه"),
        ("۰۹۱۲ ۳۴۵ ۶۷۸۹", "صفر نهصد و دوازده، سیصد و چهل و پنج، شصت و هفت، هشتاد و نه"),
        ("۵–۱۰، ٪۵۰، -۵", "پنج تا ده، پنجاه درصد، منفی پنج"),
        ("$۵ و ۱۰ km", "پنج دلار و ده کیلومتر"),
        ("پیامبر (ص)", "پیامبر صلی الله علیه و آله"),
        ("Windows ۱۱ را", "windows یازده را"),
        ("«سلام»؛ خوبی؟", '"سلام"؛ خوبی؟'),
    ],
}  # fmt: skip
CASES = [(code, written, said) for code, rows in SAID.items() for written, said in rows]


@pytest.mark.parametrize(("code", "written", "said"), CASES)
def test_what_is_written_becomes_what_is_said(code, written, said):
    assert normalize_text(written, code) == said


@pytest.mark.parametrize("code", SAID)
def test_what_is_said_has_tokens(code):
    vocabulary = Vocabulary()
    ids = [index for _, said in SAID[code] for index in vocabulary.encode(said, code)]
    assert max(ids) < len(vocabulary) - 256, "bytes are the last"


def test_each_language_with_tables_is_tried():
    assert set(SAID) == set(RULES)


@pytest.mark.parametrize(("written", "letters"), [
    ("كتاب علي موسى", "کتاب علی موسی"),
    ("ہمه ھمه ەمه", "همه همه همه"),
    ("خانه\u0654 ما و خانۀ ما", "خانۀ ما و خانۀ ما"),
    ("می\u00acروم می\u00adروم می\u200bروم", " ".join(["می\u200cروم"] * 3)),
    ("آب، مسئله، مؤمن، رأی، جزء", "آب، مسئله، مؤمن، رأی، جزء"),
    ("کِتابِ مَن و بَنّا", "کِتابِ مَن و بَنّا"),
    ("ﺳﻼم ﷼", "سلام ریال"),
    ("\u200fسلام\u200e\ufeff", "سلام"),
])  # fmt: skip
def test_persian_has_one_spelling(written, letters):
    assert normalize_text(written, "fa") == letters


def test_a_soft_hyphen_is_a_joiner_in_persian_only():
    assert normalize_text("soft\u00adhyphen", "fa") == normalize_text("soft\u00adhyphen", "en") == "softhyphen"


PIECES = [
    *"0123456789", *"  ..,,::--//%$€£°@&#№+()'\"²½٪٫\u200c\u200d\u00a0\u0301\u0654", "İ", "ß", "ﬁ", "१", "Ⅳ", "a", "st",
    "1999", "12:30", "555-1234", "2024-03-15", "million", "p.m.", "ه", "\u0661", "\u06f5", "15 March", "в 1999 году",
]  # fmt: skip


def random_text(source: random.Random, code: str | None) -> str:
    """Pieces of what the rules look for, stuck together; or any characters, unpaired surrogates too."""
    if source.random() < 0.2:
        limits = [0x250, 0x700, 0xD800, 0x110000]
        return "".join(chr(source.randrange(source.choice(limits))) for _ in range(source.randint(1, 9)))
    rules = RULES.get(code)
    written = [*rules.counted, *rules.leading, *rules.abbreviations, *rules.before_number] if rules else PIECES
    pools = [PIECES, PIECES, [one + end for one in written for end in ("", " ")]]
    return "".join(source.choice(source.choice(pools)) for _ in range(source.randint(1, 9)))


@pytest.mark.parametrize("code", [*RULES, "nl", None])
@pytest.mark.parametrize("piece", ["9", "9-", "9.", "+9 ", "0 99 ", "$9", "9%", "am 9. "])
def test_a_row_of_ten_thousand_characters_is_read(piece, code):
    """Python itself makes no number of more than 4,300 digits."""
    assert normalize_text(piece * (10_000 // len(piece)) + "-" + "9" * 5000, code)


@pytest.mark.parametrize("code", [*RULES, "nl", "tr", "zh", "xx", None])
def test_any_text_is_read_once_and_for_all(code):
    """Nothing raises, no figure is left in a language that has tables, and what was read is not read again."""
    source = random.Random(f"text of {code}")
    for _ in range(500):
        text = random_text(source, code)
        once = normalize_text(text, code)
        assert normalize_text(once, code) == once, text
        assert code not in RULES or not re.search("[0-9]", once), text


@pytest.mark.parametrize("code", RULES)
def test_a_language_s_file_has_its_sample_and_what_ends_no_sentence(code):
    rules = RULES[code]
    assert rules.sample and rules.within_sentences
    for word in rules.within_sentences.split():
        assert len(split_sentences(f"{rules.sample[:-1]} {word}. {rules.sample}", code)) == 1, word
    assert len(split_sentences(f"{rules.sample} {rules.sample}", code)) == 2
