"""Persian: its letters, and its numbers, dates and abbreviations.

Not read: Roman numerals, and figures with a slash, which may be a fraction or a decimal mark ("۳/۵"), but before a unit
that tells. Short vowels and the ezafe are not put where they are not written; those that are stay.
"""

import re

from data_pipeline.normalize.calendar import any_month, numeric_dates, times
from data_pipeline.normalize.rules import Noun, Rules
from data_pipeline.normalize.spelling import cardinal, integer, one_by_one, ordinal

ZWNJ = "\u200c"
# Letters that other keyboards and old software write for the Persian ones: yeh, kaf, heh, and alef wasla. Alef with
# madda and the letters that bear a hamza stay. Heh with a hamza above is one letter here, two in NFC.
LETTERS = str.maketrans({
    "\u064a": "\u06cc", "\u0649": "\u06cc", "\u06d2": "\u06cc", "\u0643": "\u06a9", "\u06aa": "\u06a9",
    "\u06c1": "\u0647", "\u06be": "\u0647", "\u06d5": "\u0647", "\u0671": "\u0627",
})  # fmt: skip
LETTER = "\u0621-\u064a\u066e-\u06d3"
# Typed for a zero-width non-joiner: the not sign and the soft hyphen of old encodings, the zero-width space.
FALSE_ZWNJ = re.compile(rf"(?<=[{LETTER}])[\u00ac\u00ad\u200b]+(?=[{LETTER}])")

JALALI = "فروردین اردیبهشت خرداد تیر مرداد شهریور مهر آبان آذر دی بهمن اسفند".split()
GREGORIAN = "ژانویه فوریه مارس آوریل مه ژوئن ژوئیه اوت سپتامبر اکتبر نوامبر دسامبر".split()
MONTH = any_month(" ".join([*JALALI, *GREGORIAN, "امرداد", "می", "جولای", "آگوست"]))
PARTS = {1: "دهم", 2: "صدم", 3: "هزارم"}


def true_joiners(text: str) -> str:
    """What stands for a zero-width non-joiner within a word becomes one."""
    return FALSE_ZWNJ.sub(ZWNJ, text)


def persian_letters(text: str) -> str:
    """One way of writing each letter."""
    return text.translate(LETTERS).replace("\u0647\u0654", "\u06c0")


def date(day: int, month: int, in_year: int | None) -> str:
    """By the Iranian calendar, unless the year is of the Gregorian one."""
    names = GREGORIAN if in_year is not None and in_year >= 1600 else JALALI
    spoken = f"{ordinal(day, RULES)} {names[month - 1]}"
    return f"{spoken} {cardinal(in_year, RULES)}" if in_year else spoken


def time(hour: int, minute: int) -> str:
    spoken = cardinal(hour, RULES)
    return f"{spoken} و {cardinal(minute, RULES)} دقیقه" if minute else spoken


def _decimal(whole: str, fraction: str) -> str:
    """'سه و نیم', 'سه و چهارده صدم', to thousandths; then 'سه ممیز' and the digits."""
    if len(fraction) not in PARTS or not int(fraction):
        return f"{integer(whole, RULES)} ممیز {one_by_one(fraction, RULES)}"
    part = "نیم" if fraction == "5" else f"{cardinal(int(fraction), RULES)} {PARTS[len(fraction)]}"
    return f"{integer(whole, RULES)} و {part}" if int(whole) else part


def _day_month(match: re.Match) -> str:
    spoken = f"{ordinal(int(match['day']), RULES)} {match['month']}"
    return f"{spoken} {cardinal(int(match['year']), RULES)}" if match["year"] else spoken


# "۳/۵ درصد" is three and a half: the slash is the decimal mark of many keyboards.
UNITS = "%|درصد|میلیون|میلیارد|هزار|متر|کیلو|سانتی|میلی|لیتر|گرم|تن|دلار|ریشتر"
SLASH = rf"(?<![\w.,:/-])(\d{{1,3}})/(\d{{1,2}})(?= ?(?:{UNITS}))"
PASSES = (
    *numeric_dates(date),
    (SLASH, lambda match: _decimal(match[1], match[2])),
    (rf"(?<![\w.,:/-])(?P<day>[12]?\d|3[01]) {MONTH}(?: (?:ماه )?(?P<year>\d{{4}}))?(?![\w{ZWNJ}-])", _day_month),
    (rf"(?<![\w.,:/-])(\d{{1,12}})[{ZWNJ} ]?ا?مین\b", lambda match: f"{ordinal(int(match[1]), RULES)}ین"),
    times(time),
)  # fmt: skip

RULES = Rules(
    code="fa",
    sample="سلام، حال شما چطور است؟",
    within_sentences="دکتر مهندس",
    decimal=_decimal,
    cardinals={"": "spellout-numbering"},
    ordinals={rf"[{ZWNJ} ]?ا?م\b": ""},
    minus="منفی",
    to="تا",
    cents=("و ", True),
    fractions={"1/2": "یک دوم", "1/3": "یک سوم", "2/3": "دو سوم", "1/4": "یک چهارم", "3/4": "سه چهارم"},
    symbols={"%": "درصد", "&": "و", "@": "ات", "+": "به‌علاوه", "#": "مربع", "$": "دلار", "€": "یورو", "£": "پوند",
             "¥": "ین", "°": "درجه"},
    counted={
        "%": Noun("درصد"), "°": Noun("درجه"), "°C": Noun("درجه سلسیوس"), "$": Noun("دلار", part=Noun("سنت")),
        "USD": Noun("دلار", part=Noun("سنت")), "€": Noun("یورو", part=Noun("سنت")), "EUR": Noun("یورو"),
        "£": Noun("پوند"), "¥": Noun("ین"), "km": Noun("کیلومتر"), "m": Noun("متر"), "cm": Noun("سانتی‌متر"),
        "mm": Noun("میلی‌متر"), "kg": Noun("کیلوگرم"), "g": Noun("گرم"), "mg": Noun("میلی‌گرم"), "ml": Noun("میلی‌لیتر"),
        "km/h": Noun("کیلومتر در ساعت"), "کم": Noun("کیلومتر"), "GB": Noun("گیگابایت"), "MB": Noun("مگابایت"),
        "Hz": Noun("هرتز"),
    },
    abbreviations={"(ص)": "صلی الله علیه و آله", "(ع)": "علیه السلام", "(س)": "سلام الله علیها",
                   "(ره)": "رحمت الله علیه", "(عج)": "عجل الله تعالی فرجه", "ه.ش.": "هجری شمسی", "ه.ش": "هجری شمسی",
                   "ه.ق.": "هجری قمری", "ه.ق": "هجری قمری", "ق.م.": "قبل از میلاد", "ق.م": "قبل از میلاد"},
    before_number={"№": "شماره", "#": "شماره", "ص.": "صفحه"},
    passes=PASSES,
    phone_in_numbers=True,
    comma="،",
    tidy=(("^یک هزار", "هزار"), ("سیم$", f"سی{ZWNJ}ام")),
)  # fmt: skip
