"""English, American where it differs: 3/4/2024 is March 4, and 13/4/2024, which has no other way, April 13.

Not read: years with nothing beside them that tells (1999 alone is a number), Roman numerals, "St." where neither a
name before nor one after shows which it is.
"""

import re

from data_pipeline.normalize.calendar import numeric_dates, times
from data_pipeline.normalize.rules import Noun, Rules
from data_pipeline.normalize.spelling import cardinal, one_by_one, ordinal

MONTHS = "January February March April May June July August September October November December".split()
SHORT = {name[:3]: name for name in MONTHS} | {"Sept": "September"}
MONTH = rf"(?P<month>{'|'.join(MONTHS)}|(?:{'|'.join(sorted(SHORT, key=len, reverse=True))})\.?(?= ))"
DAY = r"(?P<day>[12]?\d|3[01])(?:st|nd|rd|th)?"
YEAR = r"(?P<year>1[1-9]\d\d|20\d\d)"
# What a year follows; "of", "by" and their like stand before any number.
TELL_YEAR = r"(?i:in|since|until|till|before|after|during|circa|year|early|late|mid|summer|winter|spring|autumn|fall)"
COUNTED = "people|times|dollars|percent|years|days|hours|minutes|feet|miles|meters|km|kg|points"
NO_YEAR = rf"(?![\w-]|[.,:/]\d| ?[%$€£°]| (?:{COUNTED})\b)"
TWELVE_HOURS = (
    r"(?<![\w.,:-])(?P<hour>1[0-2]|0?[1-9])(?::(?P<minute>[0-5]\d))? ?(?P<half>(?i:[ap]))\.?(?i:m)(?:\.|(?!\w))"
)
# What is said of a number digit by digit, if it has three or more.
TELL_DIGITS = r"dial|extension|ext\.?|pin|code|tel\.?|phone|fax|room|flight"
PENNY = Noun("penny", "pence")
CENT = Noun("cent", "cents")


def year(number: int) -> str:
    """'nineteen oh five', 'two thousand', 'two thousand and five', 'twenty twenty-four'."""
    century, rest = divmod(number, 100)
    if 2000 <= number < 2010 or number % 1000 == 0:
        return cardinal(number, RULES)
    if not rest:
        return f"{cardinal(century, RULES)} hundred"
    return f"{cardinal(century, RULES)} {'oh ' if rest < 10 else ''}{cardinal(rest, RULES)}"


def date(day: int, month: int, in_year: int | None) -> str:
    spoken = f"{MONTHS[month - 1]} {ordinal(day, RULES, ORDINAL)}"
    return f"{spoken}, {year(in_year)}" if in_year else spoken


def time(hour: int, minute: int) -> str:
    spoken = cardinal(hour, RULES)
    if not minute:
        return f"{spoken} o'clock" if 1 <= hour <= 12 else f"{spoken} hundred"
    return f"{spoken} {'oh ' if minute < 10 else ''}{cardinal(minute, RULES)}"


def _time_of_day(match: re.Match) -> str:
    """'5pm' and '5:30 PM' -> 'five p.m.' and 'five thirty p.m.'"""
    minute = int(match["minute"] or 0)
    half = f"{match['half']}.m."
    return f"{time(int(match['hour']), minute) if minute else cardinal(int(match['hour']), RULES)} {half}"


def _month_day(match: re.Match) -> str:
    name = match["month"].rstrip(".")
    month = 1 + MONTHS.index(SHORT.get(name, name))
    return date(int(match["day"]), month, int(match["year"]) if match["year"] else None)


def _day_month(match: re.Match) -> str:
    name = match["month"].rstrip(".")
    spoken = f"{ordinal(int(match['day']), RULES, ORDINAL)} of {SHORT.get(name, name)}"
    spoken = spoken if match["article"] else f"the {spoken}"
    return f"{match['article'] or ''}{spoken}" + (f", {year(int(match['year']))}" if match["year"] else "")


def _decade(match: re.Match) -> str:
    """'1990s' -> 'nineteen nineties', '80s' -> 'eighties'."""
    first = int((match["century"] or "") + match["tens"] + "0")
    spoken = year(first) if match["century"] else cardinal(first, RULES)
    return spoken[:-1] + "ies" if spoken.endswith("y") else spoken + "s"


PASSES = (
    *numeric_dates(date, marks="/-", month_first=True),
    (rf"(?<![\w.]){MONTH} {DAY}(?:,? {YEAR})?(?![\w:/-]|[.,]\d)", _month_day),
    (rf"(?<![\w.,:/-])(?P<article>[Tt]he )?{DAY} (?:of )?{MONTH}(?:,? {YEAR})?(?![\w-]|[.,]\d)", _day_month),
    (TWELVE_HOURS, _time_of_day),
    times(time, r"(?: o'clock)"),
    (r"(?<![\w.,:])(?<!\d-)'?(?:(?P<century>1[1-9]|20)(?=\d)|(?=[1-9]))(?P<tens>\d)0'?s(?!\w)", _decade),
    (r"(?P<before>\b(?i:from|between) )(?P<first>1[1-9]\d\d|20\d\d)(?P<to> (?:to|and|until|through) )"
     rf"(?P<last>1[1-9]\d\d|20\d\d){NO_YEAR}",
     lambda match: f"{match['before']}{year(int(match['first']))}{match['to']}{year(int(match['last']))}"),
    (r"\bUS\$(?=\s?\d)", lambda match: "$"),
    (rf"(?<![\w.,:/-])(?P<first>1[1-9]\d\d|20\d\d)-(?P<last>1[1-9]\d\d|20\d\d){NO_YEAR}",
     lambda match: f"{year(int(match['first']))} to {year(int(match['last']))}"),
    (rf"(?P<before>\b{TELL_YEAR}(?: the year)?[ -]|\(|(?i:{'|'.join(MONTHS)}),? ){YEAR}{NO_YEAR}",
     lambda match: match["before"] + year(int(match["year"]))),
    (rf"(?<![\w.,:/-]){YEAR}(?= (?:AD|BC|CE|BCE|ad|bc)\b)", lambda match: year(int(match["year"]))),
    (rf"(?P<before>\b(?i:{TELL_DIGITS})(?i: number| no\.| is)?:? )(?P<digits>\d{{3,6}})(?![\w-]|[.,:/]\d)",
     lambda match: match["before"] + one_by_one(match["digits"], RULES)),
    (r"(?<=\b[Cc]all )[49]11(?![\w-]|[.,]\d)",
     lambda match: one_by_one(match[0], RULES)),
)  # fmt: skip

ORDINAL = "spellout-ordinal-verbose"  # with "and", as num2words has it

RULES = Rules(
    code="en",
    sample="Thank you for calling.",
    within_sentences=(
        "mr mrs ms dr prof st ave rd blvd jr sr gen col sgt capt lt rev hon gov sen rep vs "
        "etc inc ltd co corp dept est approx mt ft"
    ),
    point="point",
    cardinals={"": "spellout-cardinal-verbose"},
    tidy=((",", ""),),
    ordinals={r"(?:st|nd|rd|th)\b": ORDINAL},
    minus="minus",
    to="to",
    cents=("and ", True),
    fractions={"1/2": "one half", "1/3": "one third", "2/3": "two thirds", "1/4": "one quarter",
               "3/4": "three quarters"},
    symbols={"%": "percent", "&": "and", "@": "at", "+": "plus", "#": "hash", "$": "dollars", "€": "euros",
             "£": "pounds", "¥": "yen", "°": "degrees"},
    counted={
        "%": Noun("percent"), "°": Noun("degree", "degrees"), "°C": Noun("degree celsius", "degrees celsius"),
        "°F": Noun("degree fahrenheit", "degrees fahrenheit"),
        "$": Noun("dollar", "dollars", part=CENT), "€": Noun("euro", "euros", part=CENT),
        "£": Noun("pound", "pounds", part=PENNY), "¥": Noun("yen"),
        "USD": Noun("dollar", "dollars", part=CENT), "EUR": Noun("euro", "euros", part=CENT),
        "GBP": Noun("pound", "pounds", part=PENNY),
        "km": Noun("kilometer", "kilometers"), "m": Noun("meter", "meters"), "cm": Noun("centimeter", "centimeters"),
        "mm": Noun("millimeter", "millimeters"), "km/h": Noun("kilometer per hour", "kilometers per hour"),
        "mph": Noun("mile per hour", "miles per hour"), "m²": Noun("square meter", "square meters"),
        "km²": Noun("square kilometer", "square kilometers"), "ft": Noun("foot", "feet"), "lb": Noun("pound", "pounds"),
        "lbs": Noun("pound", "pounds"), "oz": Noun("ounce", "ounces"), "kg": Noun("kilogram", "kilograms"),
        "g": Noun("gram", "grams"), "mg": Noun("milligram", "milligrams"), "ml": Noun("milliliter", "milliliters"),
        "kB": Noun("kilobyte", "kilobytes"), "KB": Noun("kilobyte", "kilobytes"), "MB": Noun("megabyte", "megabytes"),
        "GB": Noun("gigabyte", "gigabytes"), "TB": Noun("terabyte", "terabytes"), "Hz": Noun("hertz"),
        "kHz": Noun("kilohertz"), "MHz": Noun("megahertz"), "GHz": Noun("gigahertz"),
        "kW": Noun("kilowatt", "kilowatts"), "kWh": Noun("kilowatt hour", "kilowatt hours"),
        "min": Noun("minute", "minutes"), "sec": Noun("second", "seconds"),
        "ms": Noun("millisecond", "milliseconds"), "hrs": Noun("hour", "hours"),
    },
    leading={"Dr.": "doctor", "Mr.": "mister", "Mrs.": "missus", "Ms.": "miz", "Prof.": "professor",
             "Rev.": "reverend", "Hon.": "honorable", "Gen.": "general", "Capt.": "captain", "Sgt.": "sergeant",
             "Lt.": "lieutenant", "Col.": "colonel", "Sen.": "senator", "Gov.": "governor", "Mt.": "mount",
             "vs.": "versus", "e.g.": "for example", "i.e.": "that is", "approx.": "approximately",
             "ext.": "extension"},
    abbreviations={"Mr": "mister", "Mrs": "missus", "Dr": "doctor", "etc.": "et cetera", "Jr.": "junior",
                   "Sr.": "senior", "Inc.": "incorporated", "Ltd.": "limited", "Corp.": "corporation",
                   "Ave.": "avenue", "Rd.": "road", "Blvd.": "boulevard", "dept.": "department",
                   "est.": "established"},
    before_number={"No.": "number", "Nos.": "numbers", "#": "number", "№": "number", "p.": "page", "pp.": "pages",
                   "vol.": "volume", "ch.": "chapter", "fig.": "figure", "tel.": "telephone"},
    passes=PASSES,
    late_passes=(
        (r"(?P<before>\b[A-Z][a-z]+ |\b[a-z]+(?:st|nd|rd|th) )(?:St\.)(?!\w)(?! [A-Z][a-z]+ [A-Z])",
         lambda match: f"{match['before']}street" + ("." if not match.string[match.end():].strip() else "")),
        (r"\bSt\.\s?(?=[A-Z][a-z])", lambda match: "saint "),
    ),
)  # fmt: skip
