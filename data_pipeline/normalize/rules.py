"""The form of a language's tables."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Noun:
    """What is counted, as it is said of one and of many, and of 2 to 4 where the language counts as Russian does.

    gender: the key of Rules.cardinals that the number agrees with. part: a hundredth of it, such as the cent.
    """

    one: str
    many: str = ""
    few: str = ""
    gender: str = ""
    part: "Noun | None" = None

    def of(self, whole: int | None) -> str:
        """The form after a whole number; None: after a fraction."""
        if self.few:
            if whole is None or (whole % 10 in (2, 3, 4) and whole % 100 not in (12, 13, 14)):
                return self.few
            return self.one if whole % 10 == 1 and whole % 100 != 11 else self.many
        return self.one if whole == 1 else self.many or self.one


# What a pattern of a language's own becomes.
Reader = Callable[[re.Match], str]


@dataclass(frozen=True)
class Rules:
    """One language. Only `code` is needed: num2words then reads what numbers it can, and symbols stay.

    sample: a sentence to hear a voice by. within_sentences: what a full stop may follow within a sentence, in lower
    case.
    decimal_mark: "," where people write 1.234,5. point: how it is said. paired_fraction: after it up to two digits
    are said as one number ("three comma fourteen").
    cardinals: gender -> rule set of CLDR; "" is how one counts. Empty: num2words.
    ordinals: ending after the digits, as a pattern -> rule set of CLDR, or "" for num2words'.
    decimal: reads (whole, fraction), both digits, where point is not all there is to it.
    to: between the two ends of a range; "" leaves the hyphen. cents: what joins 5 dollars and 25 cents, with its space,
    and whether "cents" is said. link: between "million" and what it counts, with its space.
    fractions: the ones that are read as such. spaced_thousands: 21 000 is one number.
    symbols: said wherever they stand. counted: symbols and units, said after a number only.
    before_number: abbreviations before digits only. leading: before a word; their dot is never the sentence's ("Dr.").
    abbreviations: elsewhere; a dot that also ends the sentence stays ("etc."). All in any case, but for single letters,
    and with or without the spaces in them.
    passes: patterns of the language's own (dates, years, times), in order, before all else. late_passes: after the
    numbers, as abbreviations are.
    phone_in_numbers: a group of a telephone number is read as a number, not digit by digit. comma: said between them.
    tidy: patterns in the words of the libraries, and what people say.
    """

    code: str | None
    sample: str = ""
    within_sentences: str = ""
    decimal_mark: str = "."
    point: str = ""
    paired_fraction: bool = False
    cardinals: dict[str, str] = field(default_factory=dict)
    ordinals: dict[str, str] = field(default_factory=dict)
    decimal: Callable[[str, str], str] | None = None
    minus: str = ""
    to: str = ""
    cents: tuple[str, bool] = ("", True)
    link: str = ""
    fractions: dict[str, str] = field(default_factory=dict)
    spaced_thousands: bool = False
    symbols: dict[str, str] = field(default_factory=dict)
    counted: dict[str, Noun] = field(default_factory=dict)
    leading: dict[str, str] = field(default_factory=dict)
    abbreviations: dict[str, str] = field(default_factory=dict)
    before_number: dict[str, str] = field(default_factory=dict)
    passes: tuple[tuple[str, Reader], ...] = ()
    late_passes: tuple[tuple[str, Reader], ...] = ()
    phone_in_numbers: bool = False
    comma: str = ","
    tidy: tuple[tuple[str, str], ...] = ()
