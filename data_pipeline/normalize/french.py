"""French of France.

Not read: gender of a number before a noun that is spelled out ("1 page" is "un page"; of units and currencies it
agrees), Roman numerals ("XIXe"), "av." and "St" where the case may mislead.
"""

from data_pipeline.normalize.calendar import any_month, numeric_dates, times
from data_pipeline.normalize.rules import Noun, Rules
from data_pipeline.normalize.spelling import cardinal

MONTHS = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split()
MONTH = any_month(" ".join(MONTHS))
CENT = Noun("centime", "centimes", gender="m")
HOUR = r"(?<![\w.,:-])(?P<hour>[01]?\d|2[0-4]) ?h(?: ?(?P<minute>[0-5]\d)(?:min)?)?(?![\w'])"


def date(day: int, month: int, in_year: int | None) -> str:
    spoken = "premier" if day == 1 else cardinal(day, RULES)
    return f"{spoken} {MONTHS[month - 1]}" + (f" {cardinal(in_year, RULES)}" if in_year else "")


def time(hour: int, minute: int) -> str:
    spoken = f"{cardinal(hour, RULES, 'f')} heure{'s' if hour > 1 else ''}"
    return f"{spoken} {cardinal(minute, RULES)}" if minute else spoken


PASSES = (
    *numeric_dates(date),
    (rf"(?<![\w.,:/-])1(?= {MONTH}\b)", lambda match: "premier"),
    (r"(?<![\w.,:/-])2nd(?P<feminine>e)?\b", lambda match: f"second{match['feminine'] or ''}"),
    times(time, pattern=HOUR),
    times(time, r" ?h\b"),
)

RULES = Rules(
    code="fr",
    sample="Merci de votre appel.",
    within_sentences="m mm mme mmes mlle mlles dr me mgr st ste bd av etc env tél cf",
    decimal_mark=",",
    spaced_thousands=True,
    point="virgule",
    paired_fraction=True,
    cardinals={"": "spellout-numbering", "m": "spellout-cardinal-masculine", "f": "spellout-cardinal-feminine"},
    ordinals={r"(?:re|ère)\b": "spellout-ordinal-feminine", r"(?:er|e|ème|ième|eme)\b": "spellout-ordinal-masculine"},
    minus="moins",
    to="à",
    cents=("", False),
    link="de ",
    fractions={"1/2": "un demi", "1/3": "un tiers", "2/3": "deux tiers", "1/4": "un quart", "3/4": "trois quarts"},
    symbols={"%": "pour cent", "&": "et", "@": "arobase", "+": "plus", "#": "dièse", "$": "dollars", "€": "euros",
             "£": "livres", "¥": "yens", "°": "degrés"},
    counted={
        "%": Noun("pour cent"), "°": Noun("degré", "degrés", gender="m"),
        "°C": Noun("degré celsius", "degrés celsius", gender="m"),
        "$": Noun("dollar", "dollars", gender="m", part=CENT), "USD": Noun("dollar", "dollars", gender="m", part=CENT),
        "€": Noun("euro", "euros", gender="m", part=CENT), "EUR": Noun("euro", "euros", gender="m", part=CENT),
        "£": Noun("livre", "livres", gender="f", part=Noun("penny", "pence", gender="m")),
        "¥": Noun("yen", "yens", gender="m"),
        "km": Noun("kilomètre", "kilomètres", gender="m"), "m": Noun("mètre", "mètres", gender="m"),
        "cm": Noun("centimètre", "centimètres", gender="m"), "mm": Noun("millimètre", "millimètres", gender="m"),
        "km/h": Noun("kilomètre heure", "kilomètres heure", gender="m"),
        "m²": Noun("mètre carré", "mètres carrés", gender="m"),
        "km²": Noun("kilomètre carré", "kilomètres carrés", gender="m"),
        "kg": Noun("kilogramme", "kilogrammes", gender="m"), "g": Noun("gramme", "grammes", gender="m"),
        "mg": Noun("milligramme", "milligrammes", gender="m"), "l": Noun("litre", "litres", gender="m"),
        "ml": Noun("millilitre", "millilitres", gender="m"), "min": Noun("minute", "minutes", gender="f"),
        "Mo": Noun("mégaoctet", "mégaoctets", gender="m"), "Go": Noun("gigaoctet", "gigaoctets", gender="m"),
        "Hz": Noun("hertz", gender="m"),
    },
    leading={"Mme.": "madame", "Mlle.": "mademoiselle", "M.": "monsieur", "MM.": "messieurs", "Dr.": "docteur",
             "Pr.": "professeur", "p. ex.": "par exemple", "c.-à-d.": "c'est-à-dire", "env.": "environ",
             "bd.": "boulevard", "cf.": "confer"},
    abbreviations={"av. J.-C.": "avant jésus-christ", "apr. J.-C.": "après jésus-christ", "Mme": "madame",
                   "Mmes": "mesdames", "Mlle": "mademoiselle", "Mlles": "mesdemoiselles", "Dr": "docteur",
                   "Pr": "professeur", "etc.": "et cetera"},
    before_number={"n°": "numéro", "nº": "numéro", "No.": "numéro", "p.": "page", "pp.": "pages", "#": "numéro",
                   "№": "numéro", "tél.": "téléphone"},
    passes=PASSES,
    late_passes=((r"\bSt(?=-[A-Z])", lambda match: "saint"), (r"\bSte(?=-[A-Z])", lambda match: "sainte")),
    phone_in_numbers=True,
)  # fmt: skip
