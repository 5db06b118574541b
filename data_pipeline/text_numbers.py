"""Numbers and symbols to words, for the languages that num2words covers."""

import re
from decimal import Decimal
from functools import lru_cache

import num2words

# num2words has Kazakh under a country's code.
CONVERTER_NAMES = {"kk": "kz"}
# These write 1.234,5; the others 1,234.5.
COMMA_DECIMAL = frozenset({
    "es", "fr", "it", "de", "ru", "pt", "nl", "pl", "tr", "uk", "cs", "sv", "fi", "da", "no", "hu",
    "ro", "be", "bg", "sr", "hr", "sl", "sk", "lt", "lv", "is", "ca", "az", "kk", "id", "vi",
})  # fmt: skip
# Longer ones are account or telephone numbers, which people read digit by digit.
LONGEST_QUANTITY_DIGITS = 12

# "1st"; only the endings that num2words' masculine nominative ordinal agrees with, so that no case is made up.
ORDINAL_ENDINGS = {
    "en": r"(?:st|nd|rd|th)\b",
    "fr": r"(?:er|e|ème|ième|eme)\b",
    "es": r"\.?º",
    "it": r"º",
    "pt": r"\.?º",
    "ru": r"-?(?:й|ый|ой)\b",
    "nl": r"(?:e|de|ste)\b",
    "fa": r"[\u200c ]?ا?م\b",
}

# A tuple is (one, many), or (one, few, many) where the language counts as Russian does. № stands for # before a digit.
SYMBOLS = {
    "en": {"%": "percent", "&": "and", "@": "at", "+": "plus", "#": "hash", "№": "number", "-": "minus",
           "$": ("dollar", "dollars"), "€": ("euro", "euros"), "£": ("pound", "pounds"), "°": ("degree", "degrees")},
    "es": {"%": "por ciento", "&": "y", "@": "arroba", "+": "más", "#": "almohadilla", "№": "número", "-": "menos",
           "$": ("dólar", "dólares"), "€": ("euro", "euros"), "£": ("libra", "libras"), "°": ("grado", "grados")},
    "fr": {"%": "pour cent", "&": "et", "@": "arobase", "+": "plus", "#": "dièse", "№": "numéro", "-": "moins",
           "$": ("dollar", "dollars"), "€": ("euro", "euros"), "£": ("livre", "livres"), "°": ("degré", "degrés")},
    "it": {"%": "per cento", "&": "e", "@": "chiocciola", "+": "più", "#": "cancelletto", "№": "numero", "-": "meno",
           "$": ("dollaro", "dollari"), "€": "euro", "£": ("sterlina", "sterline"), "°": ("grado", "gradi")},
    "de": {"%": "prozent", "&": "und", "@": "ät", "+": "plus", "#": "raute", "№": "nummer", "-": "minus",
           "$": "dollar", "€": "euro", "£": "pfund", "°": "grad"},
    "ru": {"%": ("процент", "процента", "процентов"), "&": "и", "@": "собака", "+": "плюс", "#": "решётка",
           "№": "номер", "-": "минус", "$": ("доллар", "доллара", "долларов"), "€": "евро",
           "£": ("фунт", "фунта", "фунтов"), "°": ("градус", "градуса", "градусов")},
    "fa": {"%": "درصد", "&": "و", "@": "ات", "+": "به‌علاوه", "#": "مربع", "№": "شماره", "-": "منفی",
           "$": "دلار", "€": "یورو", "£": "پوند", "°": "درجه"},
    "ar": {"%": "بالمئة", "&": "و", "@": "آت", "+": "زائد", "#": "مربع", "№": "رقم", "-": "سالب",
           "$": "دولار", "€": "يورو", "£": "جنيه", "°": "درجة"},
}  # fmt: skip

NUMBER = r"\d+(?:[.,]\d+)*"
# "$5 million" is read "five million dollars".
MAGNITUDE = r"(?i: (?:thousand|mille|mila|mil|tausend|тысяч\w*|(?:m|b|tr)ill?i[oóa]\w*|mill[oó]n\w*|милли\w*))?"


def numbers_to_words(text: str, code: str | None) -> str:
    """Reads numbers (ASCII digits), ordinals and the symbols % & @ + $ € £ ° # in the language of an ISO code.

    Numbers in a language that num2words does not cover stay digits, symbols in one without a table stay symbols.
    """
    symbols = SYMBOLS.get(code, {})
    text = re.sub(r"#(?=\d)", "№", text) if symbols else text
    if symbols:
        # The currency is spoken after the amount, wherever it is written; in "3 € 5" it belongs to the 3.
        text = re.sub(rf"([$€£]|(?<!\d)(?<!\d )[$€£] )({NUMBER}{MAGNITUDE})\b", r"\2 \1", text)
        text = re.sub(rf"(?<!\S)-(?={NUMBER})", f"{symbols['-']} ", text)
        text = re.sub(rf"({NUMBER}){MAGNITUDE} ?([%$€£°])", lambda m: _counted(m, code), text)
        text = re.sub(r"[%&@+#№$€£°]", lambda m: _spaced(m, _forms(symbols[m[0]])[-1]), text)
    if not _covers(code):
        return text
    if code in ORDINAL_ENDINGS:
        text = re.sub(rf"(?<![\d.,])(\d+){ORDINAL_ENDINGS[code]}", lambda m: _ordinal(m, code), text)
    text = re.sub(r"(?<=\d):(?=\d\d)", " ", text)  # times: 12:30
    return re.sub(NUMBER, lambda m: _spaced(m, _read_number(m[0], code)), text)


def _counted(match: re.Match, code: str) -> str:
    """'5%' -> '5 percent', the unit agreeing with the number."""
    forms = _forms(SYMBOLS[code][match[2]])
    amount = match[0][: -len(match[2])].rstrip()
    whole = int(match[1]) if match[1].isdigit() else None
    if len(forms) == 3:
        few = whole is None or (whole % 10 in (2, 3, 4) and whole % 100 not in (12, 13, 14))
        one = whole is not None and whole % 10 == 1 and whole % 100 != 11
        unit = forms[0] if one else forms[1] if few else forms[2]
    else:
        unit = forms[0] if whole == 1 and amount == match[1] else forms[-1]
    return _spaced(match, f"{amount} {unit}")


def _forms(word: str | tuple[str, ...]) -> tuple[str, ...]:
    return (word,) if isinstance(word, str) else word


def _ordinal(match: re.Match, code: str) -> str:
    words = _convert(match[1], code, "ordinal") if len(match[1]) <= LONGEST_QUANTITY_DIGITS else None
    return match[0] if words is None else _spaced(match, words)


def _read_number(token: str, code: str) -> str:
    """'1,234.5' -> words, by the language's own marks; what is no number ('1.2.3') is read piece by piece."""
    decimal, group = (",", ".") if code in COMMA_DECIMAL else (".", ",")
    if re.fullmatch(rf"[1-9]\d{{0,2}}(?:{re.escape(group)}\d{{3}})+(?:{re.escape(decimal)}\d+)?", token):
        token = token.replace(group, "")
    whole, *fraction = re.split(r"[.,]", token)
    if len(fraction) == 1 and len(whole) <= LONGEST_QUANTITY_DIGITS and (whole == "0" or whole[0] != "0"):
        return _read_decimal(whole, fraction[0], code)
    pieces = token.replace(".", " ").replace(",", ", ")
    return re.sub(r"\d+", lambda m: _read_integer(m[0], code), pieces)


def _read_decimal(whole: str, fraction: str, code: str) -> str:
    if code == "ar":  # num2words joins them with a bare comma
        return f"{_read_integer(whole, code)} فاصلة {' '.join(_read_integer(digit, code) for digit in fraction)}"
    words = _convert(f"{whole}.{fraction}", code, "cardinal")
    return words or f"{_read_integer(whole, code)}, {_read_integer(fraction, code)}"


def _read_integer(digits: str, code: str) -> str:
    if len(digits) > LONGEST_QUANTITY_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return " ".join(_convert(digit, code, "cardinal") or digit for digit in digits)
    return _convert(digits, code, "cardinal") or digits


def _covers(code: str | None) -> bool:
    return CONVERTER_NAMES.get(code, code) in num2words.CONVERTER_CLASSES


@lru_cache(maxsize=10_000)
def _convert(number: str, code: str, to: str) -> str | None:
    """num2words' reading, or None where its converter cannot (they differ in which error they raise)."""
    try:
        value = int(number) if number.isdigit() else Decimal(number)
        words = num2words.num2words(value, lang=CONVERTER_NAMES.get(code, code), to=to)
    except (ArithmeticError, LookupError, NotImplementedError, TypeError, ValueError):
        return None
    return " ".join(words.replace(",", " ").split()) or None


def _spaced(match: re.Match, words: str) -> str:
    """Parts the words from letters that touched the digits: 'B2B' -> 'B two B'."""
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    return (" " if before.isalnum() else "") + words + (" " if after.isalnum() else "")
