"""Telephone numbers: digit by digit, or group by group where people say them so, with a comma after each group."""

import re

from data_pipeline.normalize.rules import Rules
from data_pipeline.normalize.spelling import cardinal, one_by_one

FEWEST_DIGITS, MOST_DIGITS = 7, 15  # E.164 has at most 15
PATTERNS = [
    r"(?:\d{1,2}[ .-]?)?\(\d{2,5}\)[ -]?\d{2,4}(?:[ .-]?\d{2,4}){1,3}",  # (555) 123-4567
    r"(?:\d{1,3}-)?\d{2,4}-\d{2,4}(?:-\d{2,4}){1,3}",  # 1-800-555-1234
    r"\d{3}-\d{4}",
    r"\d{3}(?P<mark>[. ])\d{3}(?P=mark)\d{4}",
    r"0\d{1,4}(?:[ ./-]\d{2,4}){2,5}",  # 01 23 45 67 89
    r"0\d{1,5}[ /-]\d{5,9}",  # 0171/1234567
    r"\d\d \d{4} \d{4}",  # Mexico's
    r"(?<!\d )[679]\d\d \d{3} \d{3}(?! \d)",  # Spain's; elsewhere three groups of three are rarer as a quantity
    r"0\d{6,14}",
]
INTERNATIONAL = r"\+\d{1,3}(?:[ ./-]?\(?\d{1,5}\)?){1,6}"  # +1 (555) 123-4567
PHONE = re.compile(rf"(?<![\w.,:/-])(?:{INTERNATIONAL}|(?<!\d )(?:{'|'.join(PATTERNS)}))(?![\w/-]|[.,:]\d)")
DATE = re.compile(r"\d{1,2}-\d{1,2}-\d{4}|\d{4}-\d{1,2}-\d{1,2}")
# Unbroken and not round, as 5551234: nobody writes a quantity so.
LONG_RUN = re.compile(r"(?<![\w.,:/-])\d{7,}(?![\w/-]|[.,:]\d)")


def read_phones(text: str, rules: Rules) -> str:
    text = PHONE.sub(lambda match: _read(match[0], rules), text)
    return LONG_RUN.sub(lambda match: match[0] if _is_round(match[0]) else _read(match[0], rules), text)


def _is_round(digits: str) -> bool:
    return digits.endswith("000") and digits[0] != "0"


def _read(written: str, rules: Rules) -> str:
    groups = re.findall(r"\d+", written)
    if not FEWEST_DIGITS <= sum(map(len, groups)) or DATE.fullmatch(written):
        return written
    if written[0] == "+" and sum(map(len, groups)) > MOST_DIGITS:
        return written
    plus = f"{rules.symbols['+']} " if written[0] == "+" and "+" in rules.symbols else ""
    return plus + f"{rules.comma} ".join(_group(group, rules) for group in groups)


def _group(digits: str, rules: Rules) -> str:
    if not rules.phone_in_numbers or len(digits) > 4:
        return one_by_one(digits, rules)
    if len(digits) == 4 and digits[0] != "0":
        return f"{_group(digits[:2], rules)}{rules.comma} {_group(digits[2:], rules)}"
    significant = digits.lstrip("0")
    words = [cardinal(0, rules)] * (len(digits) - len(significant))
    return " ".join([*words, cardinal(int(significant), rules)] if significant else words)
