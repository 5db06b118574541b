"""Transcripts to tokens: what is spoken, one way of writing it, and a table that is the same for every model.

Text is lower-cased: the small corpora this is made for hold too few capitals to learn that they sound alike.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence

from data_pipeline.errors import UserError, shown
from data_pipeline.languages import LANGUAGES, language_code, language_token
from data_pipeline.normalize.persian import ZWNJ, persian_letters, true_joiners
from data_pipeline.normalize.reading import verbalize
from data_pipeline.phonemes import espeak
from data_pipeline.phonemes.registry import PHONEMIZERS, phonemize

ZWJ = "\u200d"  # this format character and ZWNJ are spelling (Indic scripts, Persian); the others go

PLAIN = str.maketrans(
    dict.fromkeys("“”„‟«»″〝〞", '"')
    | dict.fromkeys("‘’‚‛′ʼ`´‹›", "'")
    | dict.fromkeys("‐‑‒–—―−", "-")
    | {"…": "...", "\u0640": "", "٪": "%", "٫": ".", "٬": ","}  # U+0640: tatweel, which only stretches a word
)
DIGITS = str.maketrans({chr(first + n): str(n) for first in (0x06F0, 0x0660) for n in range(10)})
TURKIC = str.maketrans({"I": "ı", "İ": "i"})


def normalize_text(text: str, language: str | None) -> str:
    """One way of writing a transcript: NFC, no control or direction marks, numbers as words, lower case.

    Accents, hamza, madda, vowel signs and the zero-width non-joiner stay. Numbers, dates, money, units and
    abbreviations are read as data_pipeline.normalize has it for the language; Persian text gets Persian letters. What
    is normalized already does not change. The result can be empty, which the caller has to refuse.
    """
    code = language_code(language)
    # A no-break or thin space between three digits groups thousands; a plain one may part two numbers.
    text = re.sub(r"(?<=\d)[\u00a0\u202f\u2009](?=\d{3}(?!\d))", "", text)
    if code == "fa":
        text = true_joiners(text)
    text = "".join(map(_plain_character, text))
    text = _letters(unicodedata.normalize("NFC", text).translate(PLAIN).translate(DIGITS), code)
    text = verbalize(_clean_joiners(text), code)
    if code in ("tr", "az"):
        text = text.translate(TURKIC)
    return _clean_joiners(_letters(text.lower(), code))  # again, for the words that were put in


def _letters(text: str, code: str | None) -> str:
    text = unicodedata.normalize("NFC", text)
    return persian_letters(text) if code == "fa" else text


def _clean_joiners(text: str) -> str:
    """One space between words, one zero-width non-joiner at a time, and that within words only."""
    text = " ".join(text.split())
    text = re.sub(rf"\s*{ZWNJ}+\s*(?=\s)|(?<=\s){ZWNJ}+|^{ZWNJ}+|{ZWNJ}+$", "", text)
    return " ".join(re.sub(rf"{ZWNJ}{{2,}}", ZWNJ, text).split())


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc" or category.startswith("Z"):
        return " "
    if category in ("Cf", "Cs", "Co"):
        return character if character in (ZWNJ, ZWJ) else ""
    # Ligatures and the shaped forms of Arabic letters, which old software stores instead of the letters.
    shaped = "\ufb00" <= character <= "\ufb06" or "\ufb50" <= character <= "\ufdff" or "\ufe70" <= character <= "\ufefc"
    return unicodedata.normalize("NFKC", character) if shaped else character


def is_heard(text: str) -> bool:
    """Whether normalizing leaves a letter or digit of a text: some that Unicode counts as such are marks or nothing."""
    return any(any(map(str.isalnum, _plain_character(one).translate(PLAIN))) for one in text if one.isalnum())


PAD, BOS, EOS, UNKNOWN_LANGUAGE = "<pad>", "<bos>", "<eos>", "<unk-lang>"
# Order is part of every trained model: append before the bytes only together with a new version.
CHARACTERS = (
    [chr(code) for code in range(0x20, 0x7F) if not chr(code).isupper()]  # printable ASCII without capitals
    + list("¿¡ªº")
    + [chr(code) for code in range(0xDF, 0x100) if code != 0xF7]  # Latin-1 small letters, not the division sign
    + list("āăąćĉċčďđēĕėęěĝğġģĥħĩīĭįıĳĵķĸĺļľŀłńņňŉŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷźżžſșțơư")
    + [chr(code) for code in range(0x0430, 0x0460)]  # Cyrillic small letters, with the Ukrainian and Serbian ones
    + list("ґғқңүұһәө")
    + [ZWNJ]
    + list("،؛؟۔")
    + [chr(code) for code in range(0x0621, 0x063B)]  # Arabic letters
    + [chr(code) for code in range(0x0641, 0x0656)]  # Arabic letters, vowel signs, madda and hamza marks
    + list("\u0670ٱٹپچڈڑژکگںھۀہۂۃۆیێےۓە")
    + [chr(code) for code in range(0x0250, 0x02B0)]  # of the International Phonetic Alphabet
    + list("βθχᵻˈˌːˑʰʲʷˠˤ\u0303\u0329\u032a\u030a\u0361")  # with stress, length, nasal vowels and the like
)
BYTES = [f"<0x{value:02x}>" for value in range(256)]
TOKENS = [PAD, BOS, EOS, UNKNOWN_LANGUAGE, *(f"<{code}>" for code in LANGUAGES), *CHARACTERS, *BYTES]
VOCABULARY_VERSION = 3  # 1 had no phonetic letters; what 2 called phonemes were espeak-ng's
UNITS = ("characters", "phonemes", "espeak")
# Stress, length, release and nasality: letters of the phonetic alphabet that are not heard for a time of their own.
PHONETIC_MARKS = frozenset("ˈˌːˑʰʲʷˠˤ\u0303\u0329\u032a\u030a\u0361")


class Vocabulary:
    """A language-independent table of tokens, the same for every new model; an id is a token's place in it.

    units: what a text is read as, letter by letter: its "characters"; the "phonemes" of `data_pipeline.phonemes` in the
    languages of `phonemized`, and characters in others; or "espeak", espeak-ng's phonemes in any language.

    <pad> (0), <bos>, <eos>, <unk-lang>, one tag for each of LANGUAGES, CHARACTERS, and the 256 bytes, as which every
    other character is written in UTF-8. So nothing is ever unknown, and one model's ids mean the same to another.
    Fine-tuning appends what a corpus has and the table has not (data_pipeline.text.new_tokens).
    """

    def __init__(
        self, tokens: list[str] | None = None, units: str = "characters", phonemized: Sequence[str] = tuple(PHONEMIZERS)
    ):
        self.tokens, self.units = list(TOKENS if tokens is None else tokens), units
        self.phonemized = tuple(phonemized) if units == "phonemes" else ()
        if units not in UNITS:
            raise UserError(f"The vocabulary's units are {shown(units)!r}; expected {' or '.join(UNITS)}.")
        if unknown := [code for code in self.phonemized if str(code) not in PHONEMIZERS]:
            raise UserError(
                f"The model reads {shown(', '.join(map(str, unknown)))} as phonemes, which this version of Goya "
                f"cannot; it reads {', '.join(PHONEMIZERS)}. Use the version that the model was trained with."
            )
        self._ids = {token: index for index, token in enumerate(self.tokens)}
        missing = [token for token in (PAD, BOS, EOS, UNKNOWN_LANGUAGE, *BYTES) if token not in self._ids]
        if missing or len(self._ids) != len(self.tokens) or self.tokens[0] != PAD:
            raise UserError(
                f"The vocabulary of {len(self.tokens)} tokens is not one of Goya's: missing {missing[:3]}, "
                f"{len(self.tokens) - len(self._ids)} repeated, first {self.tokens[:1]}; expected {PAD} "
                "first, each token once, and all 256 bytes. Take it from the checkpoint again."
            )
        self.pad_id, self.bos_id, self.eos_id = (self._ids[token] for token in (PAD, BOS, EOS))

    def __len__(self) -> int:
        return len(self.tokens)

    def language_id(self, language: str | None) -> int:
        """The id of a language's tag, or of <unk-lang>."""
        return self._ids.get(language_token(language), self._ids[UNKNOWN_LANGUAGE])

    def spoken(self, text: str, language: str | None) -> str:
        """Normalized text as its tokens spell it: in its characters, or as phonemes.

        Raises UserError where espeak-ng does not know the language.
        """
        if self.units == "espeak":
            return unicodedata.normalize("NFC", espeak.phonemize(text, language))
        code = language_code(language)
        return unicodedata.normalize("NFC", phonemize(text, code)) if code in self.phonemized else text

    def grown(self, tokens: list[str]) -> "Vocabulary":
        """This table with `tokens` behind its own, which keep their ids."""
        return Vocabulary(self.tokens + tokens, self.units, self.phonemized)

    def encode(self, text: str, language: str | None) -> list[int]:
        """Ids of normalized text: the language's tag, <bos>, the characters or phonemes, <eos>.

        <bos> and <eos> are also where the aligner puts the silence before and after the speech. Raises UserError where
        phonemes are not to be had for the language.
        """
        ids = [self.language_id(language), self.bos_id]
        for character in self.spoken(text, language):
            known = self._ids.get(character)
            ids.extend([known] if known is not None else (self._ids[BYTES[b]] for b in character.encode("utf-8")))
        return [*ids, self.eos_id]

    def shortenings(self, ids: list[int]) -> Iterator[list[int]]:
        """The ids, then ever fewer that still say the same, for speech faster than a step for each of them.

        Of characters in bytes go the first bytes that the character before began with too: they name the script and
        not the sound, and in an Indic text are two of three. Of phonemes the marks go that have no time of their own.
        """
        yield ids
        for most in (1, 3):  # first bytes of a character: UTF-8 has no more
            yield self._without_repeated_bytes(ids, most)
        if self.units != "characters":
            marks = {self._ids[mark] for mark in PHONETIC_MARKS if mark in self._ids}
            yield [one for one in self._without_repeated_bytes(ids, 3) if one not in marks]

    def _without_repeated_bytes(self, ids: list[int], most: int) -> list[int]:
        first_byte = self._ids[BYTES[0]]
        kept: list[int] = []
        before: list[int] = []  # the bytes of the last character that was written in such
        place = 0
        while place < len(ids):
            lead = ids[place] - first_byte
            size = 4 if 0xF0 <= lead < 0x100 else 3 if 0xE0 <= lead < 0xF0 else 2 if 0xC0 <= lead < 0xE0 else 1
            character = ids[place : place + size]
            same = 0
            while same < min(most, size - 1) and character[: same + 1] == before[: same + 1]:
                same += 1
            kept += character[same:]
            before = character if size > 1 else before
            place += size
        return kept

    def decode(self, ids: list[int]) -> str:
        """The text of ids; tags, <pad>, <bos> and <eos> say nothing, bytes that are not UTF-8 become U+FFFD."""
        first_byte = self._ids[BYTES[0]]
        parts = []
        for index in ids:
            token = self.tokens[index]
            if first_byte <= index < first_byte + 256:
                parts.append(bytes([index - first_byte]))
            elif len(token) == 1:
                parts.append(token.encode("utf-8"))
        return b"".join(parts).decode("utf-8", errors="replace")

    def in_bytes(self, ids: list[int]) -> str:
        """The characters among ids that the table has no token for, so that they are written as bytes."""
        first_byte = self._ids[BYTES[0]]
        return self.decode([index for index in ids if first_byte <= index < first_byte + 256])

    def to_json(self) -> str:
        document = {"version": VOCABULARY_VERSION, "units": self.units, "phonemized": list(self.phonemized)}
        document["tokens"] = self.tokens
        return json.dumps(document, ensure_ascii=False)

    @classmethod
    def from_json(cls, document: str) -> "Vocabulary":
        """Raises UserError where the document is not what to_json writes."""
        try:
            found = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise _unreadable(error) from error
        return cls.from_document(found)

    @classmethod
    def from_document(cls, found) -> "Vocabulary":
        """Of the object that `to_json` writes as text. Raises UserError where it is another."""
        try:
            tokens, units = found["tokens"], found.get("units", "characters")  # which version 1 does not say
            if units == "phonemes" and found["version"] == 2:
                units = "espeak"
            phonemized = found.get("phonemized", ())
            if not isinstance(tokens, list) or not all(isinstance(token, str) and token for token in tokens):
                raise TypeError("tokens that are no text")
            if not isinstance(phonemized, list | tuple):
                raise TypeError("languages that are no list")
        except (KeyError, TypeError, AttributeError) as error:
            raise _unreadable(error) from error
        return cls(tokens, units, phonemized)


def _unreadable(error: Exception) -> UserError:
    return UserError(
        f"The vocabulary cannot be read ({error!r}); expected the JSON that Goya saves with a "
        "model. Take it from the checkpoint again."
    )
