"""Numbers in words, by the libraries.

unicode-rbnf has the rules of Unicode's CLDR, with genders and cases, which num2words has not; num2words also drops
what follows an Italian decimal mark and reads a Persian 0.05 as a half. But CLDR has no Persian ordinals, and its
Arabic numbers are not joined as they are spelled: there, and in other languages, it is num2words that reads.
"""

import re
from decimal import Decimal
from functools import cache, lru_cache

import num2words
from unicode_rbnf import RbnfEngine

from data_pipeline.normalize.rules import Rules

# num2words has Kazakh under a country's code.
CONVERTER_NAMES = {"kk": "kz"}
# Longer ones are account or telephone numbers, which people read digit by digit.
LONGEST_QUANTITY_DIGITS = 12
SOFT_HYPHEN = "\u00ad"  # CLDR's German has it where a long word may be broken


def has_words(code: str | None) -> bool:
    return CONVERTER_NAMES.get(code, code) in num2words.CONVERTER_CLASSES


def cardinal(number: int, rules: Rules, gender: str = "") -> str:
    """The number as one counts, or as it agrees with a noun; its digits where no library has the language."""
    rule_set = rules.cardinals.get(gender) or rules.cardinals.get("")
    words = by_cldr(number, rules.code, rule_set) if rule_set else by_num2words(number, rules.code, "cardinal")
    return _tidied(words, rules) if words else str(number)


def ordinal(number: int, rules: Rules, rule_set: str = "") -> str | None:
    """By a rule set of CLDR, or by num2words; None where it has none."""
    words = by_cldr(number, rules.code, rule_set) if rule_set else by_num2words(number, rules.code, "ordinal")
    return _tidied(words, rules) if words else None


def one_by_one(digits: str, rules: Rules) -> str:
    return " ".join(cardinal(int(digit), rules) for digit in digits)


def integer(digits: str, rules: Rules, gender: str = "") -> str:
    """Digits as a number; one by one where it begins with 0 or is too long to be a quantity."""
    if len(digits) > LONGEST_QUANTITY_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return one_by_one(digits, rules)
    return cardinal(int(digits), rules, gender)


def decimal(whole: str, fraction: str, rules: Rules) -> str:
    """A number with a decimal mark, both parts as digits."""
    if rules.decimal is not None:
        return rules.decimal(whole, fraction)
    if not rules.point:
        words = by_num2words(Decimal(f"{whole}.{fraction}"), rules.code, "cardinal")
        return words or f"{integer(whole, rules)}, {integer(fraction, rules)}"
    return f"{integer(whole, rules)} {rules.point} {_after_point(fraction, rules)}"


def _after_point(fraction: str, rules: Rules) -> str:
    if not rules.paired_fraction or len(fraction) > 2:
        return one_by_one(fraction, rules)
    zeros = len(fraction) - len(fraction.lstrip("0"))
    if zeros == len(fraction):
        return one_by_one(fraction, rules)
    return " ".join([*[cardinal(0, rules)] * zeros, cardinal(int(fraction), rules)])


def _tidied(words: str, rules: Rules) -> str:
    for pattern, said in rules.tidy:
        words = re.sub(pattern, said, words)
    return words


@cache
def _engine(code: str) -> RbnfEngine:
    return RbnfEngine.for_language(code)


@lru_cache(maxsize=10_000)
def by_cldr(number: int, code: str, rule_set: str) -> str:
    return _engine(code).format_number(number, ruleset_names=[rule_set]).text.replace(SOFT_HYPHEN, "")


@lru_cache(maxsize=10_000)
def by_num2words(number: int | Decimal, code: str, to: str) -> str | None:
    """None where its converter cannot (they differ in which error they raise)."""
    try:
        words = num2words.num2words(number, lang=CONVERTER_NAMES.get(code, code), to=to)
    except (ArithmeticError, LookupError, NotImplementedError, TypeError, ValueError):
        return None
    return " ".join(words.replace(",", " ").split()) or None
