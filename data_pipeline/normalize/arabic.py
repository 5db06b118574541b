"""Arabic, modern standard.

Not read: gender and case of a number (it is said as one counts: "5 دقائق" is "خمسة دقائق"), dual and plural of a unit
or currency after it ("5 $" is "خمسة دولار"), the Levantine names of the months, Roman numerals. Vowel signs stay where
they are given; none are put.
"""

import re

from data_pipeline.normalize.calendar import TIME, any_month, numeric_dates
from data_pipeline.normalize.rules import Noun, Rules
from data_pipeline.normalize.spelling import cardinal, integer, one_by_one, ordinal

MONTHS = "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر".split()
MONTH = any_month(" ".join([*MONTHS, "ابريل", "اغسطس", "اكتوبر"]))
HOUR = TIME + r"(?P<half> ?[صم](?!\w))?"
QUARTERS = {15: "والربع", 20: "والثلث", 30: "والنصف"}


def date(day: int, month: int, in_year: int | None) -> str:
    spoken = f"{ordinal(day, RULES, 'spellout-ordinal-masculine')} من {MONTHS[month - 1]}"
    return f"{spoken} {cardinal(in_year, RULES)}" if in_year else spoken


def time(hour: int, minute: int, half: str = "") -> str:
    """'الثالثة والربع', 'العاشرة إلا ربعا'; after 12 by the twelve hours of the clock."""
    hour = (hour + (minute == 45) - 1) % 12 + 1
    spoken = ordinal(hour, RULES, "spellout-ordinal-feminine")
    if minute == 45:
        spoken += " إلا ربعا"
    elif minute in QUARTERS:
        spoken += f" {QUARTERS[minute]}"
    elif minute:
        spoken += f" و{cardinal(minute, RULES)} دقيقة"
    return spoken + {"ص": " صباحا", "م": " مساء"}.get(half.strip(), "")


def _decimal(whole: str, fraction: str) -> str:
    return f"{integer(whole, RULES)} فاصلة {one_by_one(fraction, RULES)}"


def _day_month(match: re.Match) -> str:
    spoken = f"{ordinal(int(match['day']), RULES, 'spellout-ordinal-masculine')} من {match['month']}"
    return f"{spoken} {cardinal(int(match['year']), RULES)}" if match["year"] else spoken


PASSES = (
    *numeric_dates(date),
    (rf"(?<![\w.,:/-])(?P<day>[12]?\d|3[01]) {MONTH}(?: (?P<year>\d{{4}}))?(?![\w-])", _day_month),
    (HOUR, lambda match: time(int(match["hour"]), int(match["minute"]), match["half"] or "")),
    (r"(?<![\w.,:/-])(?P<year>\d{3,4}) ?(?P<era>هـ?|م)(?![\w'])",
     lambda match: f"{cardinal(int(match['year']), RULES)} {'ميلادي' if match['era'] == 'م' else 'هجري'}"),
)  # fmt: skip

RULES = Rules(
    code="ar",
    sample="شكرا لاتصالك.",
    within_sentences="د أ م",
    decimal=_decimal,
    minus="سالب",
    to="إلى",
    cents=("و", True),
    fractions={"1/2": "نصف", "1/3": "ثلث", "2/3": "ثلثان", "1/4": "ربع", "3/4": "ثلاثة أرباع"},
    symbols={"%": "بالمئة", "&": "و", "@": "آت", "+": "زائد", "#": "مربع", "$": "دولار", "€": "يورو", "£": "جنيه",
             "¥": "ين", "°": "درجة"},
    counted={
        "%": Noun("بالمئة"), "°": Noun("درجة"), "°C": Noun("درجة مئوية"), "$": Noun("دولار", part=Noun("سنت")),
        "USD": Noun("دولار", part=Noun("سنت")), "€": Noun("يورو", part=Noun("سنت")), "£": Noun("جنيه"),
        "¥": Noun("ين"), "كم": Noun("كيلومتر"), "سم": Noun("سنتيمتر"), "مم": Noun("مليمتر"), "كغ": Noun("كيلوغرام"),
        "كجم": Noun("كيلوغرام"), "كم/س": Noun("كيلومتر في الساعة"), "كم²": Noun("كيلومتر مربع"), "م²": Noun("متر مربع"),
        "km": Noun("كيلومتر"), "kg": Noun("كيلوغرام"), "ر.س": Noun("ريال سعودي"), "د.إ": Noun("درهم إماراتي"),
        "ج.م": Noun("جنيه مصري"),
    },
    leading={"د.": "دكتور", "أ.د.": "أستاذ دكتور", "أ.": "أستاذ", "م.": "مهندس"},
    abbreviations={"إلخ": "إلى آخره", "الخ": "إلى آخره", "ص.ب.": "صندوق بريد", "ص.ب": "صندوق بريد",
                   "ق.م.": "قبل الميلاد", "ق.م": "قبل الميلاد"},
    before_number={"№": "رقم", "#": "رقم", "ص.": "صفحة"},
    passes=PASSES,
    comma="،",
    tidy=((r" و (?=\w)", " و"),),
)  # fmt: skip
