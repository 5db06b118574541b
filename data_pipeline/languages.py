"""The languages that have a token of their own, and how a corpus' name for one is understood."""

import re

# ISO 639-1 code -> English name. The order is part of every trained model's vocabulary: append, never insert.
LANGUAGES = {
    "en": "english", "es": "spanish", "fr": "french", "it": "italian", "de": "german", "ru": "russian",
    "fa": "persian", "ar": "arabic", "pt": "portuguese", "nl": "dutch", "pl": "polish", "tr": "turkish",
    "uk": "ukrainian", "cs": "czech", "sv": "swedish", "fi": "finnish", "da": "danish", "no": "norwegian",
    "hu": "hungarian", "ro": "romanian", "el": "greek", "he": "hebrew", "hi": "hindi", "bn": "bengali",
    "ur": "urdu", "ps": "pashto", "ku": "kurdish", "az": "azerbaijani", "tg": "tajik", "kk": "kazakh",
    "uz": "uzbek", "tk": "turkmen", "ky": "kyrgyz", "tt": "tatar", "ba": "bashkir", "ce": "chechen",
    "ka": "georgian", "hy": "armenian", "be": "belarusian", "bg": "bulgarian", "mk": "macedonian",
    "sr": "serbian", "hr": "croatian", "bs": "bosnian", "sl": "slovenian", "sk": "slovak", "lt": "lithuanian",
    "lv": "latvian", "et": "estonian", "is": "icelandic", "ga": "irish", "cy": "welsh", "ca": "catalan",
    "gl": "galician", "eu": "basque", "mt": "maltese", "sq": "albanian", "eo": "esperanto", "lb": "luxembourgish",
    "af": "afrikaans", "sw": "swahili", "ha": "hausa", "yo": "yoruba", "ig": "igbo", "zu": "zulu", "xh": "xhosa",
    "so": "somali", "am": "amharic", "ti": "tigrinya", "rw": "kinyarwanda", "lg": "ganda", "mg": "malagasy",
    "ta": "tamil", "te": "telugu", "kn": "kannada", "ml": "malayalam", "mr": "marathi", "gu": "gujarati",
    "pa": "punjabi", "or": "odia", "as": "assamese", "ne": "nepali", "si": "sinhala", "sd": "sindhi",
    "zh": "chinese", "ja": "japanese", "ko": "korean", "vi": "vietnamese", "th": "thai", "id": "indonesian",
    "ms": "malay", "jv": "javanese", "tl": "tagalog", "km": "khmer", "lo": "lao", "my": "burmese", "mn": "mongolian",
    "ug": "uyghur",
}  # fmt: skip
CODES_BY_OTHER_NAME = {name: code for code, name in LANGUAGES.items()} | {
    "eng": "en", "spa": "es", "fra": "fr", "fre": "fr", "ita": "it", "deu": "de", "ger": "de", "rus": "ru",
    "fas": "fa", "per": "fa", "pes": "fa", "prs": "fa", "farsi": "fa", "ara": "ar", "arb": "ar", "por": "pt",
    "nld": "nl", "pol": "pl", "tur": "tr", "ukr": "uk", "nb": "no", "nn": "no", "iw": "he", "ckb": "ku",
    "cmn": "zh", "yue": "zh", "fil": "tl", "jpn": "ja", "kor": "ko", "hin": "hi", "mandarin": "zh",
}  # fmt: skip


def language_code(language: str | None) -> str | None:
    """The ISO 639-1 code of "fa", "fa-IR", "fas", "Persian" ...; None for one that has no token (see LANGUAGES)."""
    base = _base(language)
    code = CODES_BY_OTHER_NAME.get(base, base)
    return code if code in LANGUAGES else None


def language_token(language: str | None) -> str | None:
    """How a vocabulary writes a language: "<fa>"; "<br-lang>" for one that is not among LANGUAGES; None for none."""
    code, base = language_code(language), _base(language)
    if code is not None:
        return f"<{code}>"
    return f"<{base}-lang>" if re.fullmatch("[a-z]{2,20}", base) else None  # "-lang": <bos>, <pad> are taken


def _base(language: str | None) -> str:
    return (language or "").strip().lower().replace("_", "-").split("-")[0]
