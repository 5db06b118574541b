"""Spanish as Latin America speaks it, by rules: its spelling tells the sound and the stress.

After the Real Academia's Ortografía (2010), chapters II and III: seseo and yeísmo, b/d/g as approximants but after a
pause or a nasal (d also after l), n as the consonant after it asks, glides for unstressed i and u beside a vowel.
"""

import re

ALPHABET = "a-záéíóúüñ"

VOWELS = "aeiouáéíóúü"
ACCENTED = dict(zip("áéíóú", "aeiou", strict=True))
LETTER_NAMES = {
    "b": "be", "c": "ce", "d": "de", "f": "efe", "g": "ge", "h": "hache", "j": "jota", "k": "ca", "l": "ele",
    "m": "eme", "n": "ene", "ñ": "eñe", "p": "pe", "q": "cu", "r": "erre", "s": "ese", "t": "te", "v": "ve",
    "w": "doble ve", "x": "equis", "y": "i griega", "z": "zeta",
}  # fmt: skip
# Words that a sentence does not stress.
WEAK = frozenset(
    "el la los las lo al del de en a y e o u ni que se me te le les nos os mi mis tu tus su sus un con por para sin si "
    "pero como cuando donde mientras aunque porque pues sobre entre desde hasta hacia según".split()
)
# Endings that are stressed though their last letter asks for the syllable before: often typed without the accent.
LAST = re.compile("[aeou]i$|[cs]ion$")
X_AS_J = re.compile("méxico|mexican|texas|texan|oaxac")

# Spelling -> sounds, the first that fits, where no vowel's glide or stress is decided yet.
CONSONANTS = [
    ("ch", "ʧ"), ("ll", "ʝ"), ("rr", "r"), ("qu(?=[eiéí])", "k"), ("q", "k"), ("gu(?=[eiéí])", "ɡ"), ("gü", "ɡw"),
    ("g(?=[eiéí])", "x"), ("g", "ɡ"), ("c(?=[eiéí])", "s"), ("c", "k"), ("h", ""), ("j", "x"), ("ñ", "ɲ"),
    ("v", "b"), ("z", "s"),
    ("x(?=[^aeiouáéíóú]|$)", "ks"), ("^x", "s"), ("x", "ks"), ("w", "w"), ("y(?=[aeiouáéíóú])", "ʝ"),
    ("(?<=[nls])r|^r", "r"), ("r", "ɾ"), ("ü", "u"), ("ss", "s"),
]  # fmt: skip
SOUND = re.compile("|".join(f"({spelling})" for spelling, _ in CONSONANTS))


def words(text: str) -> str:
    """Words, apart by spaces, as phonemes with the stress of words that have one."""
    said = " ".join(_word(part) for word in text.replace("’", "'").split() for part in re.split("[-']", word) if part)
    return _approximants(_nasals(said))


def _word(word: str) -> str:
    if not set(word) & set(VOWELS):
        if word == "y":
            return "i"
        return " ".join(_word(name) for letter in word for name in LETTER_NAMES.get(letter, letter).split())
    if re.fullmatch(".{2,}mente", word) and word not in ("clemente", "semente"):
        return _stressed(word[:-5]).replace("ˈ", "ˌ") + "mˈente"
    return _stressed(word) if word not in WEAK else _stressed(word).replace("ˈ", "")


def _stressed(word: str) -> str:
    """Sounds of one word with ˈ before its stressed vowel."""
    if X_AS_J.match(word):
        word = word.replace("x", "j")
    if word == "muy":
        return "mˈuj"
    word = re.sub("(?<=[aeiouáéíóú])y(?![aeiouáéíóú])", "i", word)  # soy, rey
    sounds = SOUND.sub(lambda match: CONSONANTS[match.lastindex - 1][1], word)
    nuclei = _nuclei(sounds)
    accented = [i for i in nuclei if sounds[i] in ACCENTED]
    if accented:
        at = accented[0]
    elif len(nuclei) > 1 and word[-1] in "aeiouns" and not LAST.search(word):
        at = nuclei[-2]
    elif nuclei:
        at = nuclei[-1]
    else:
        return sounds
    glides = {"i": "j", "u": "w"}
    out = [
        ("ˈ" if i == at else "") + (ACCENTED.get(s, s) if i in nuclei or s not in glides else glides[s])
        for i, s in enumerate(sounds)
    ]
    return "".join(out)


def _nuclei(sounds: str) -> list[int]:
    """Places of the vowels that carry a syllable: i and u without an accent are glides beside another vowel."""
    found = []
    for i, sound in enumerate(sounds):
        if sound not in "aeiouáéíóú":
            continue
        before, after = sounds[i - 1] if i else "", sounds[i + 1] if i + 1 < len(sounds) else ""
        if sound in "iu":
            if after and after in "aeoáéó" or (after and after in "iuíú" and after != sound):
                continue
            if before and before in "aeoáéó":
                continue
        found.append(i)
    return found


def _nasals(said: str) -> str:
    return re.sub("n(?= ?[kɡx])", "ŋ", re.sub("n(?= ?[bpm])", "m", said))


def _approximants(said: str) -> str:
    """b, d, ɡ as β, ð, ɣ but after a pause, a nasal, and d after l, across words too."""
    for stop, approximant, never_after in (("b", "β", "mn"), ("d", "ð", "mnɲl"), ("ɡ", "ɣ", "mnɲŋ")):
        said = re.sub(f"(?<=[^ˈˌ {never_after}])( ?){stop}", rf"\1{approximant}", said)
    return said
