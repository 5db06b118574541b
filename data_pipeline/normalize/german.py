"""German.

Not read: "ein" before a noun that is spelled out (of units and currencies it agrees), Roman numerals. "15." is an
ordinal before a month, or between an article and a noun: elsewhere the dot may end a sentence.
"""

import re

from data_pipeline.normalize.calendar import any_month, numeric_dates, times
from data_pipeline.normalize.rules import Noun, Rules
from data_pipeline.normalize.spelling import by_cldr, cardinal, ordinal

MONTHS = "januar februar märz april mai juni juli august september oktober november dezember".split()
AUSTRIAN = {"jänner": "januar", "feber": "februar"}
MONTH = any_month(" ".join([*MONTHS, *AUSTRIAN]))
CENT = Noun("cent", gender="m")
# What the ordinal of a date follows: "am fünften", "der fünfte"; alone it is "fünfter".
ENDINGS = {"n": "am vom zum bis dem den seit ab des im".split(), "": "der das die".split()}


def year(number: int) -> str:
    return by_cldr(number, "de", "spellout-numbering-year")


def date(day: int, month: int, in_year: int | None, before: str = "") -> str:
    spoken = ordinal(day, RULES, f"spellout-ordinal{_ending(before.strip().casefold())}")
    return f"{spoken} {MONTHS[month - 1]}" + (f" {year(in_year)}" if in_year else "")


def _ending(before: str) -> str:
    """Of the rule set for an ordinal that follows `before`."""
    return next((f"-{ending}".rstrip("-") for ending, words in ENDINGS.items() if before in words), "-r")


def _ordinal(match: re.Match) -> str:
    ending = _ending(match["before"].strip().casefold())
    return match["before"] + ordinal(int(match["number"]), RULES, f"spellout-ordinal{ending}")


def _year_or_number(number: int) -> str:
    return year(number) if 1100 <= number < 2000 else cardinal(number, RULES)


def time(hour: int, minute: int) -> str:
    spoken = f"{cardinal(hour, RULES, 'm')} uhr"
    return f"{spoken} {cardinal(minute, RULES)}" if minute else spoken


def _date(match: re.Match) -> str:
    """'am 15. März 2024', 'am 15.3.2024'; what is no day of a month stays."""
    found = match.groupdict()
    name = found.get("month")
    month = int(found["number"]) if name is None else 1 + MONTHS.index(AUSTRIAN.get(name.casefold(), name.casefold()))
    day, in_year, before = int(found["day"]), found["year"], found["before"] or ""
    if not 1 <= day <= 31 or not 1 <= month <= 12:
        return match[0]
    return before + date(day, month, int(in_year) if in_year else None, before)


BEFORE = rf"(?P<before>\b(?i:{'|'.join(word for words in ENDINGS.values() for word in words)}) )"
PASSES = (
    *numeric_dates(date, marks="/-"),
    (rf"{BEFORE}?(?<![\w.,:/-])(?P<day>\d{{1,2}})\. ?(?P<number>\d{{1,2}})\. ?(?P<year>\d{{4}})(?![\w/-])", _date),
    (rf"{BEFORE}?(?<![\w.,:/-])(?P<day>[12]?\d|3[01])\. ?{MONTH}(?: (?P<year>\d{{4}}))?(?![\w-])", _date),
    (rf"{BEFORE}(?P<day>\d{{1,2}})\.(?P<number>\d{{1,2}})\.(?!\d)(?P<year>)", _date),
    (rf"{BEFORE}(?P<number>\d{{1,3}})\.(?= [A-ZÄÖÜ])", _ordinal),
    (r"(?<![\w.,:/-])(?P<number>\d{2,4})er(?!\w)", lambda match: f"{_year_or_number(int(match['number']))}er"),
    times(time, " Uhr"),
    times(time, pattern=r"(?<![\w.,:-])(?P<hour>[01]?\d|2[0-4])\.(?P<minute>[0-5]\d) Uhr\b"),
    times(time, pattern=r"(?<![\w.,:-])(?P<hour>[01]?\d|2[0-4]) Uhr(?: (?P<minute>[0-5]\d))?(?![\w'])"),
    (r"(?<![\w.,:/-])1[1-9]\d\d(?![\w-]|[.,:/]\d| ?[%€$£°])", lambda match: year(int(match[0]))),
)  # fmt: skip

RULES = Rules(
    code="de",
    sample="Vielen Dank für Ihren Anruf.",
    within_sentences="hr fr dr prof str nr usw bzw ca evtl ggf inkl tel st abt",
    decimal_mark=",",
    spaced_thousands=True,
    point="komma",
    cardinals={"": "spellout-numbering", "m": "spellout-cardinal-masculine", "f": "spellout-cardinal-feminine"},
    minus="minus",
    to="bis",
    cents=("", False),
    fractions={"1/2": "ein halb", "1/3": "ein drittel", "2/3": "zwei drittel", "1/4": "ein viertel",
               "3/4": "drei viertel"},
    symbols={"%": "prozent", "&": "und", "@": "ät", "+": "plus", "#": "raute", "$": "dollar", "€": "euro",
             "£": "pfund", "¥": "yen", "°": "grad"},
    counted={
        "%": Noun("prozent", gender="m"), "°": Noun("grad", gender="m"), "°C": Noun("grad celsius", gender="m"),
        "$": Noun("dollar", gender="m", part=CENT), "USD": Noun("dollar", gender="m", part=CENT),
        "€": Noun("euro", gender="m", part=CENT), "EUR": Noun("euro", gender="m", part=CENT),
        "£": Noun("pfund", gender="m", part=Noun("penny", "pence", gender="m")), "¥": Noun("yen", gender="m"),
        "km": Noun("kilometer", gender="m"), "m": Noun("meter", gender="m"), "cm": Noun("zentimeter", gender="m"),
        "mm": Noun("millimeter", gender="m"), "km/h": Noun("stundenkilometer", gender="m"),
        "m²": Noun("quadratmeter", gender="m"), "km²": Noun("quadratkilometer", gender="m"),
        "kg": Noun("kilogramm", gender="m"), "g": Noun("gramm", gender="m"), "mg": Noun("milligramm", gender="m"),
        "l": Noun("liter", gender="m"), "ml": Noun("milliliter", gender="m"),
        "Min.": Noun("minute", "minuten", gender="f"), "Std.": Noun("stunde", "stunden", gender="f"),
        "MB": Noun("megabyte", gender="m"), "GB": Noun("gigabyte", gender="m"), "Hz": Noun("hertz", gender="m"),
        "kWh": Noun("kilowattstunde", "kilowattstunden", gender="f"),
    },
    leading={"Dr.": "doktor", "Prof.": "professor", "Hr.": "herr", "Fr.": "frau", "Dipl.-Ing.": "diplomingenieur",
             "St.": "sankt", "z. B.": "zum beispiel", "d. h.": "das heißt", "u. a.": "unter anderem",
             "bzw.": "beziehungsweise", "ca.": "circa", "evtl.": "eventuell", "ggf.": "gegebenenfalls",
             "inkl.": "inklusive", "vgl.": "vergleiche", "Mio.": "millionen", "Mrd.": "milliarden",
             "Abt.": "abteilung"},
    abbreviations={"usw.": "und so weiter", "etc.": "et cetera", "Abt.": "abteilung", "Str.": "straße",
                   "Mio.": "millionen", "Mrd.": "milliarden"},
    before_number={"Nr.": "nummer", "S.": "seite", "Art.": "artikel", "#": "nummer", "№": "nummer",
                   "Tel.": "telefon"},
    passes=PASSES,
    late_passes=((r"\b(\w+)[Ss]tr\.(?!\w)", lambda match: f"{match[1]}straße"),),
)  # fmt: skip
