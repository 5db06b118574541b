"""Italian.

Not read: "un" and "una" before a noun that is spelled out (of units and currencies they agree), Roman numerals.
"""

from data_pipeline.normalize.calendar import any_month, numeric_dates, times
from data_pipeline.normalize.rules import Noun, Rules
from data_pipeline.normalize.spelling import cardinal

MONTHS = "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre".split()
MONTH = any_month(" ".join(MONTHS))
CENT = Noun("centesimo", "centesimi", gender="m")


def date(day: int, month: int, in_year: int | None) -> str:
    spoken = "primo" if day == 1 else cardinal(day, RULES)
    return f"{spoken} {MONTHS[month - 1]}" + (f" {cardinal(in_year, RULES)}" if in_year else "")


def time(hour: int, minute: int) -> str:
    """'nove e trenta', after the article that the text has."""
    spoken = cardinal(hour, RULES, "f")
    return f"{spoken} e {cardinal(minute, RULES)}" if minute else spoken


PASSES = (
    *numeric_dates(date),
    (rf"(?<![\w.,:/-])1[º°]?(?= {MONTH}\b)", lambda match: "primo"),
    times(time),
)

RULES = Rules(
    code="it",
    sample="Grazie per la chiamata.",
    within_sentences="sig sigg dott prof avv ing arch geom gent spett ecc tel cav rag",
    decimal_mark=",",
    spaced_thousands=True,
    point="virgola",
    paired_fraction=True,
    cardinals={"": "spellout-numbering", "m": "spellout-cardinal-masculine", "f": "spellout-cardinal-feminine"},
    ordinals={"º": "spellout-ordinal-masculine", "ª": "spellout-ordinal-feminine"},
    minus="meno",
    to="a",
    cents=("e ", True),
    link="di ",
    fractions={"1/2": "un mezzo", "1/3": "un terzo", "2/3": "due terzi", "1/4": "un quarto", "3/4": "tre quarti"},
    symbols={"%": "per cento", "&": "e", "@": "chiocciola", "+": "più", "#": "cancelletto", "$": "dollari",
             "€": "euro", "£": "sterline", "¥": "yen", "°": "gradi"},
    counted={
        "%": Noun("per cento"), "°": Noun("grado", "gradi", gender="m"),
        "°C": Noun("grado celsius", "gradi celsius", gender="m"),
        "$": Noun("dollaro", "dollari", gender="m", part=CENT),
        "USD": Noun("dollaro", "dollari", gender="m", part=CENT),
        "€": Noun("euro", gender="m", part=CENT), "EUR": Noun("euro", gender="m", part=CENT),
        "£": Noun("sterlina", "sterline", gender="f", part=Noun("penny", "pence", gender="m")),
        "¥": Noun("yen", gender="m"),
        "km": Noun("chilometro", "chilometri", gender="m"), "m": Noun("metro", "metri", gender="m"),
        "cm": Noun("centimetro", "centimetri", gender="m"), "mm": Noun("millimetro", "millimetri", gender="m"),
        "km/h": Noun("chilometro all'ora", "chilometri all'ora", gender="m"),
        "m²": Noun("metro quadrato", "metri quadrati", gender="m"),
        "km²": Noun("chilometro quadrato", "chilometri quadrati", gender="m"),
        "kg": Noun("chilogrammo", "chilogrammi", gender="m"), "g": Noun("grammo", "grammi", gender="m"),
        "mg": Noun("milligrammo", "milligrammi", gender="m"), "l": Noun("litro", "litri", gender="m"),
        "ml": Noun("millilitro", "millilitri", gender="m"), "min": Noun("minuto", "minuti", gender="m"),
        "MB": Noun("megabyte", gender="m"), "GB": Noun("gigabyte", gender="m"), "Hz": Noun("hertz", gender="m"),
    },
    leading={"Sig.": "signor", "Sig.ra": "signora", "Sig.na": "signorina", "Sigg.": "signori", "Dott.": "dottor",
             "Dott.ssa": "dottoressa", "Dr.": "dottor", "Prof.": "professor", "Prof.ssa": "professoressa",
             "Avv.": "avvocato", "Ing.": "ingegner", "Arch.": "architetto", "Rag.": "ragionier",
             "ad es.": "ad esempio", "p. es.": "per esempio", "ca.": "circa", "cfr.": "confronta"},
    abbreviations={"ecc.": "eccetera"},
    before_number={"n.": "numero", "nn.": "numeri", "pag.": "pagina", "pagg.": "pagine", "n°": "numero",
                   "nº": "numero", "art.": "articolo", "#": "numero", "№": "numero", "tel.": "telefono"},
    passes=PASSES,
)  # fmt: skip
