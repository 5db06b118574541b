"""A text in words: the language's own passes (dates, times, years), telephone numbers, money, units, numbers,
abbreviations. What is written in words already stays as it is, so that reading twice is reading once."""

import re
from functools import cache

from data_pipeline.normalize import arabic, english, french, german, italian, other_languages, persian, russian, spanish
from data_pipeline.normalize.phone import read_phones
from data_pipeline.normalize.rules import Noun, Rules
from data_pipeline.normalize.spelling import LONGEST_QUANTITY_DIGITS, cardinal, decimal, has_words, integer, ordinal

RULES = {
    module.RULES.code: module.RULES
    for module in (arabic, english, french, german, italian, persian, russian, spanish)
}  # fmt: skip

# Possessive, so that ten thousand digits take no longer than their length.
NUMBER = r"\d++(?:[.,]\d++)*+"
# "$5 million" is read "five million dollars".
MAGNITUDE = (
    r"(?P<magnitude>(?i: (?:thousand|mille|mila|mil|tausend|тыс(?:яч\w*|\.)?|(?:m|b|tr)ill?i[oóa]\w*|mill[oó]n\w*|"
    r"mio\.|mrd\.|милли\w*|млн\.?|млрд\.?|هزار|میلیون|میلیارد|ألف|مليون|مليار)(?!\w))?)"
)
CURRENCY = r"[$€£¥₽]"
# A word's: marks are no letters to \w, and follow one.
MARKS = "\u0300-\u036f\u064b-\u065f\u0670"
START, END = rf"(?<![\w{MARKS}])(?<![\w{MARKS}]\u200c)", rf"(?![\w{MARKS}\u200c])"
FRACTION = r"(?<![\w.,:/-])\d/\d(?![\w/]|[.,:]\d)"
SPACED_THOUSANDS = r"(?<![\w.,:/+-])(?<!\d )[1-9]\d{0,2}(?: \d{3})+(?![\w-]|[.:]\d| \d)"
RANGE = rf"(?<![\w.,:/-])({NUMBER})-({NUMBER})(?![\w:/-]|[.,]\d)"


def rules_of(code: str | None) -> Rules:
    """Of a language's ISO code; None, or one without a file of its own, has few."""
    return RULES.get(code) or other_languages.rules(code)


def verbalize(text: str, code: str | None) -> str:
    """Text (NFC, ASCII digits) of a language's ISO code with what it writes in figures and signs in words.

    Numbers in a language that no library covers stay digits; a language without tables of its own has its numbers
    read and nothing else. Not read: Roman numerals, fractions as 3/4 (but for the commonest), and formulas.
    """
    rules = rules_of(code)
    if rules.before_number:
        text = _before_number(code).sub(lambda match: f"{_said(match[0], rules.before_number)} ", text)
    for pattern, reader in rules.passes:
        text = re.sub(pattern, lambda match, reader=reader: spaced(match, reader(match)), text)
    if has_words(code):
        text = read_phones(text, rules)
    if rules.symbols:
        text = _read_signs(text, rules)
    if has_words(code):
        text = _read_numbers(text, rules)
    return _read_abbreviations(text, rules)


def spaced(match: re.Match, words: str) -> str:
    """Parts the words from letters that touched what was matched: 'B2B' -> 'B two B'."""
    if words == match[0]:
        return words
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    return (" " if before.isalnum() else "") + words + (" " if after.isalnum() and words[-1:] != " " else "")


# Signs and units


def _read_signs(text: str, rules: Rules) -> str:
    text = re.sub(FRACTION, lambda match: spaced(match, rules.fractions.get(match[0], match[0])), text)
    if rules.spaced_thousands:
        text = re.sub(SPACED_THOUSANDS, lambda match: match[0].replace(" ", ""), text)
    if rules.to:
        text = re.sub(rf"(?<!\w)({CURRENCY}) ?({NUMBER})-(?:\1 ?)?({NUMBER}{MAGNITUDE})(?!\w|-\d)", r"\2-\3 \1", text)
        text = re.sub(r"(\d)%-(?=[\d.,]+%)", r"\1-", text)
        text = re.sub(RANGE, lambda match: _range(match, rules), text)
    # The currency is spoken after the amount, wherever it is written; in "3 € 5" it belongs to the 3.
    before = rf"({CURRENCY}|(?<!\d)(?<!\d )(?:{CURRENCY} |% ?))({NUMBER}{MAGNITUDE})(?!\w)"
    text = re.sub(before, lambda match: f"{match[2]} {match[1].strip()}", text)
    text = re.sub(rf"(?<![^\s(])-(?={NUMBER})", f"{rules.minus} ", text)
    text = _counted(rules.code).sub(lambda match: spaced(match, _count(match, rules)), text)
    signs = "".join(map(re.escape, rules.symbols))
    return re.sub(f"[{signs}]+", lambda match: spaced(match, " ".join(rules.symbols[sign] for sign in match[0])), text)


@cache
def _before_number(code: str) -> re.Pattern:
    return re.compile(rf"{START}(?:{_any_of(tuple(RULES[code].before_number))})\s?(?=[+(]?\d)")


@cache
def _counted(code: str) -> re.Pattern:
    units = sorted(RULES[code].counted, key=len, reverse=True)
    # A letter's unit ends where the word does; "5's" and "5m's" have none.
    ends = [re.escape(unit) + (r"(?![\w'])" if unit[-1].isalpha() else "") for unit in units]
    return re.compile(rf"(?<!\d)(?<!\d[.,])(?P<number>{NUMBER}){MAGNITUDE} ?(?P<unit>{'|'.join(ends)})")


def _range(match: re.Match, rules: Rules) -> str:
    """'5-10' -> '5 to 10'; '3-2' is a result and stays."""
    first, second = (re.sub(r"\D", "", part) for part in match.groups())
    if max(len(first), len(second)) > LONGEST_QUANTITY_DIGITS or first[0] == "0" or int(first) >= int(second):
        return match[0]
    return f"{match[1]} {rules.to} {match[2]}"


def _count(match: re.Match, rules: Rules) -> str:
    """'5%' -> 'five percent', number and unit agreeing."""
    noun, magnitude = rules.counted[match["unit"]], match["magnitude"]
    whole, fraction = _parts(match["number"], rules)
    if magnitude:
        linked = _linked(noun, rules) if re.match(r" (?i:mil+[io]|bil+i|tril+i)", magnitude) else noun.of(0)
        return f"{number(match['number'], rules)}{magnitude} {linked}"
    if whole is None or len(whole) > LONGEST_QUANTITY_DIGITS or (whole[0] == "0" and whole != "0"):
        return f"{number(match['number'], rules)} {noun.of(0)}"
    if fraction is None:
        millions = int(whole) and int(whole) % 1_000_000 == 0
        unit = _linked(noun, rules) if millions else noun.of(int(whole))
        return f"{cardinal(int(whole), rules, noun.gender)} {unit}"
    if noun.part and len(fraction) == 2:
        return _money(int(whole), int(fraction), noun, rules)
    return f"{decimal(whole, fraction, rules)} {noun.of(None)}"


def _linked(noun: Noun, rules: Rules) -> str:
    """What millions of it are: 'de euros', 'd'euros', 'dollars'."""
    unit = noun.of(0)
    link = "d'" if rules.code == "fr" and unit[0] in "aeiouéy" else rules.link
    return link + unit


def _money(whole: int, hundredths: int, noun: Noun, rules: Rules) -> str:
    amount = f"{cardinal(whole, rules, noun.gender)} {noun.of(whole)}"
    if not hundredths:
        return amount
    join, says_cents = rules.cents
    part = cardinal(hundredths, rules, noun.part.gender if says_cents or not whole else "")
    if says_cents or not whole:
        part = f"{part} {noun.part.of(hundredths)}"
    return f"{amount} {join}{part}" if whole else part


# Numbers


def _read_numbers(text: str, rules: Rules) -> str:
    for ending, rule_set in rules.ordinals.items():
        pattern = rf"(?<![\d.,])(\d{{1,{LONGEST_QUANTITY_DIGITS}}}){ending}"
        text = re.sub(pattern, lambda match, rule_set=rule_set: _ordinal(match, rules, rule_set), text)
    text = re.sub(r"(?<=\d):(?=\d\d)", " ", text)
    return re.sub(NUMBER, lambda match: spaced(match, number(match[0], rules)), text)


def _ordinal(match: re.Match, rules: Rules, rule_set: str) -> str:
    words = ordinal(int(match[1]), rules, rule_set)
    return match[0] if words is None else spaced(match, words)


def number(token: str, rules: Rules) -> str:
    """'1,234.5' -> words, by the language's own marks; what is no number ('1.2.3') is read piece by piece."""
    whole, fraction = _parts(token, rules)
    if whole is not None:
        return integer(whole, rules) if fraction is None else decimal(whole, fraction, rules)
    pieces = token.replace(".", " ").replace(",", ", ")
    return re.sub(r"\d+", lambda match: integer(match[0], rules), pieces)


def _parts(token: str, rules: Rules) -> tuple[str | None, str | None]:
    """(whole, fraction) as digits; (None, None) for what is no number."""
    mark, group = rules.decimal_mark, "." if rules.decimal_mark == "," else ","
    if re.fullmatch(rf"[1-9]\d{{0,2}}(?:{re.escape(group)}\d{{3}})+(?:{re.escape(mark)}\d+)?", token):
        token = token.replace(group, "")
    whole, *fraction = re.split(r"[.,]", token)
    if not fraction:
        return whole, None
    if len(fraction) == 1 and len(whole) <= LONGEST_QUANTITY_DIGITS and (whole == "0" or whole[0] != "0"):
        return whole, fraction[0]
    return None, None


# Abbreviations


def _read_abbreviations(text: str, rules: Rules) -> str:
    for pattern, reader in rules.late_passes:
        text = re.sub(pattern, lambda match, reader=reader: spaced(match, reader(match)), text)
    if rules.leading:
        pattern = rf"{START}(?:{_any_of(tuple(rules.leading))})(?=[\s,:;\"'(¿¡]*\w)"
        text = re.sub(pattern, lambda match: spaced(match, _said(match[0], rules.leading)), text)
    if rules.abbreviations:
        pattern = rf"{START}(?:{_any_of(tuple(rules.abbreviations))}){END}"
        text = re.sub(pattern, lambda match: _abbreviation(match, rules.abbreviations), text)
    return text


def _abbreviation(match: re.Match, table: dict[str, str]) -> str:
    rest = match.string[match.end() :]
    ends = match[0][-1] == "." and re.match(r"[\"')\]]*(?:$|\s+[¿¡\"'(]*(?P<next>\w))", rest)
    stops = ends and (ends["next"] is None or ends["next"].isupper())
    return spaced(match, _said(match[0], table) + ("." if stops else ""))


@cache
def _any_of(keys: tuple[str, ...]) -> str:
    """A pattern of the keys in any case, spaces in them optional; a single letter only in the case given."""
    parts = []
    for key in sorted(keys, key=len, reverse=True):
        part = re.escape(key).replace(r"\ ", r"\s?") + (END if key[-1].isalpha() else "")
        parts.append(part if len(re.sub(r"\W", "", key)) == 1 else f"(?i:{part})")
    return "|".join(parts)


def _said(written: str, table: dict[str, str]) -> str:
    plain = "".join(written.split())
    by_letters = {"".join(key.split()): said for key, said in table.items()}
    folded = {key.casefold(): said for key, said in by_letters.items()}
    return by_letters.get(plain) or folded[plain.casefold()]
