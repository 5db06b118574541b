"""Russian.

Numbers agree in gender with units and currencies, years with год, and days of a month are in the genitive. Not read:
the case of any other number ("с 5 до 10" is said in the nominative), gender before a noun that is spelled out
("21 минута" is "двадцать один минута"), Roman numerals. A range keeps its hyphen: its two ends would need cases.
"""

import re

from data_pipeline.normalize.calendar import any_month, numeric_dates, times
from data_pipeline.normalize.rules import Noun, Rules
from data_pipeline.normalize.spelling import by_cldr, cardinal, ordinal

MONTHS = "января февраля марта апреля мая июня июля августа сентября октября ноября декабря".split()
MONTH = any_month(" ".join(MONTHS))
KOPECK = Noun("копейка", "копеек", "копейки", "f")
CENT = Noun("цент", "центов", "цента", "m")
ROUBLE = Noun("рубль", "рублей", "рубля", "m", KOPECK)
DOLLAR = Noun("доллар", "долларов", "доллара", "m", CENT)
EURO = Noun("евро", gender="m", part=CENT)
# The form of год that stands after a year -> the case of the year's ordinal.
BEFORE_YEAR = "в|к|с|со|до|от|из|около|после"
YEARS = {"год": "", "года": "-genitive", "году": "-locative", "годом": "-ablative"}


def _ordinal(number: int, case: str) -> str:
    return ordinal(number, RULES, f"spellout-ordinal-masculine{case}")


def date(day: int, month: int, in_year: int | None) -> str:
    """'пятого марта две тысячи двадцать четвёртого года': a date mostly says when."""
    spoken = f"{_ordinal(day, '-genitive')} {MONTHS[month - 1]}"
    return f"{spoken} {_ordinal(in_year, '-genitive')} года" if in_year else spoken


def time(hour: int, minute: int) -> str:
    if not minute:
        return f"{cardinal(hour, RULES)} {Noun('час', 'часов', 'часа').of(hour)}"
    return f"{cardinal(hour, RULES)} {'ноль ' if minute < 10 else ''}{cardinal(minute, RULES)}"


def _decimal(whole: str, fraction: str) -> str:
    """'три целых четырнадцать сотых', to thousandths."""
    if len(fraction) > 3:
        digits = " ".join(cardinal(int(digit), RULES) for digit in fraction)
        return f"{cardinal(int(whole), RULES)} запятая {digits}"
    parts = [Noun("десятая", "десятых"), Noun("сотая", "сотых"), Noun("тысячная", "тысячных")][len(fraction) - 1]
    return f"{_feminine(int(whole), Noun('целая', 'целых'))} {_feminine(int(fraction), parts)}"


def _feminine(number: int, noun: Noun) -> str:
    one = number % 10 == 1 and number % 100 != 11
    return f"{cardinal(number, RULES, 'f')} {noun.one if one else noun.many}"


def _named_date(match: re.Match) -> str:
    month = MONTHS.index(match["month"].casefold())
    return date(int(match["day"]), month + 1, int(match["year"]) if match["year"] else None)


def _year(match: re.Match) -> str:
    word = match["word"]
    if word == "г.":
        before = (match["before"] or "").strip().casefold()
        word = {"": "год", "в": "году", "к": "году"}.get(before, "года")
    return f"{match['before'] or ''}{_ordinal(int(match['year']), YEARS[word])} {word}"


def _century(match: re.Match) -> str:
    """'21 века' is of the twenty-first: five and more are 'веков'."""
    case = {"век": "", "века": "-genitive", "веке": "-locative"}[match["word"]]
    return f"{_ordinal(int(match['number']), case)} {match['word']}"


PASSES = (
    *numeric_dates(date),
    (rf"(?<![\w.,:/-])(?P<day>[12]?\d|3[01]) {MONTH}(?: (?P<year>\d{{4}})(?: года?\b| г\.)?)?(?!\w)", _named_date),
    (rf"(?P<before>\b(?i:{BEFORE_YEAR}) )?(?<![\w.,:/-])(?P<year>[12]\d{{3}}) (?P<word>год(?:а|у|ом)?(?!\w)|г\.)",
     _year),
    (r"(?<![\w.,:/-])(?P<number>[1-9]0)-?е(?!\w)",
     lambda match: ordinal(int(match["number"]), RULES, "spellout-ordinal-plural")),
    (r"(?<![\w.,:/-])(?P<number>[2-9])-?х(?!\w)",
     lambda match: by_cldr(int(match["number"]), "ru", "spellout-cardinal-masculine-genitive")),
    (r"(?<![\w.,:/-])(?P<number>[5-9]|1\d|2[01]) (?P<word>век[ае]?)(?!\w)", _century),
    times(time, r" ?ч\.?(?!\w)"),
)  # fmt: skip

RULES = Rules(
    code="ru",
    sample="Спасибо за звонок.",
    within_sentences="г гг им ул д кв пр стр тел руб коп тыс млн млрд др см рис проф акад гр",
    decimal_mark=",",
    spaced_thousands=True,
    decimal=_decimal,
    cardinals={"": "spellout-numbering", "m": "spellout-cardinal-masculine", "f": "spellout-cardinal-feminine",
               "n": "spellout-cardinal-neuter"},
    ordinals={r"-?(?:й|ый|ой|ий)\b": "spellout-ordinal-masculine", r"-?(?:я|ая)\b": "spellout-ordinal-feminine",
              r"-?(?:е|ое)\b": "spellout-ordinal-neuter", r"-?(?:го|ого)\b": "spellout-ordinal-masculine-genitive",
              r"-?(?:м|ом)\b": "spellout-ordinal-masculine-locative", r"-?х\b": "spellout-ordinal-plural-genitive"},
    minus="минус",
    cents=("", True),
    fractions={"1/2": "одна вторая", "1/3": "одна треть", "2/3": "две трети", "1/4": "одна четверть",
               "3/4": "три четверти"},
    symbols={"%": "процентов", "&": "и", "@": "собака", "+": "плюс", "#": "решётка", "$": "долларов", "€": "евро",
             "£": "фунтов", "¥": "иен", "₽": "рублей", "°": "градусов"},
    counted={
        "%": Noun("процент", "процентов", "процента", "m"), "°": Noun("градус", "градусов", "градуса", "m"),
        "°C": Noun("градус цельсия", "градусов цельсия", "градуса цельсия", "m"),
        "$": DOLLAR, "USD": DOLLAR, "€": EURO, "EUR": EURO, "₽": ROUBLE, "руб.": ROUBLE, "руб": ROUBLE, "RUB": ROUBLE,
        "коп.": KOPECK, "£": Noun("фунт", "фунтов", "фунта", "m"), "¥": Noun("иена", "иен", "иены", "f"),
        "км": Noun("километр", "километров", "километра", "m"), "м": Noun("метр", "метров", "метра", "m"),
        "см": Noun("сантиметр", "сантиметров", "сантиметра", "m"),
        "мм": Noun("миллиметр", "миллиметров", "миллиметра", "m"),
        "км/ч": Noun("километр в час", "километров в час", "километра в час", "m"),
        "м²": Noun("квадратный метр", "квадратных метров", "квадратных метра", "m"),
        "кг": Noun("килограмм", "килограммов", "килограмма", "m"), "г": Noun("грамм", "граммов", "грамма", "m"),
        "л": Noun("литр", "литров", "литра", "m"), "мл": Noun("миллилитр", "миллилитров", "миллилитра", "m"),
        "ч": Noun("час", "часов", "часа", "m"), "мин": Noun("минута", "минут", "минуты", "f"),
        "сек": Noun("секунда", "секунд", "секунды", "f"), "Гц": Noun("герц", "герц", "герца", "m"),
        "МБ": Noun("мегабайт", "мегабайт", "мегабайта", "m"), "ГБ": Noun("гигабайт", "гигабайт", "гигабайта", "m"),
        "тыс.": Noun("тысяча", "тысяч", "тысячи", "f"), "млн": Noun("миллион", "миллионов", "миллиона", "m"),
        "млрд": Noun("миллиард", "миллиардов", "миллиарда", "m"),
    },
    leading={"проф.": "профессор", "акад.": "академик", "ул.": "улица", "г.": "город", "т. е.": "то есть",
             "т. к.": "так как", "т. н.": "так называемый", "см.": "смотри"},
    abbreviations={"т. д.": "так далее", "т. п.": "тому подобное", "др.": "другие", "руб.": "рублей", "тыс.": "тысяч",
                   "млн": "миллионов", "млрд": "миллиардов", "и пр.": "и прочее"},
    before_number={"№": "номер", "#": "номер", "д.": "дом", "кв.": "квартира", "стр.": "страница", "рис.": "рисунок",
                   "тел.": "телефон"},
    passes=PASSES,
    phone_in_numbers=True,
    tidy=(("четверт(?=[а-я]+$)", "четвёрт"), ("^одна тысяча ", "тысяча ")),
)  # fmt: skip
