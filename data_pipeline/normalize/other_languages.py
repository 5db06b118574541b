"""Languages without tables of their own: num2words reads their numbers, where it has them, and the rest stays."""

from data_pipeline.normalize.rules import Rules

# These write 1.234,5; the others 1,234.5.
COMMA_DECIMAL = frozenset({
    "pt", "nl", "pl", "tr", "uk", "cs", "sv", "fi", "da", "no", "hu", "ro", "be", "bg", "sr", "hr", "sl", "sk", "lt",
    "lv", "is", "ca", "az", "kk", "id", "vi",
})  # fmt: skip
# "1e"; only the endings that num2words' masculine nominative ordinal agrees with, so that no case is made up.
ORDINALS = {"pt": {r"\.?º": ""}, "nl": {r"(?:e|de|ste)\b": ""}}

# See Rules.
WITHIN_SENTENCES = {"pt": "sr sra srta dr dra prof profa av tel etc ltda eng"}


def rules(code: str | None) -> Rules:
    return Rules(
        code,
        within_sentences=WITHIN_SENTENCES.get(code, ""),
        decimal_mark="," if code in COMMA_DECIMAL else ".",
        ordinals=ORDINALS.get(code, {}),
    )
