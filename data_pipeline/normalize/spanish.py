"""Spanish, as Latin America says it where that differs ("primero de mayo").

Not read: gender of a number before a noun that is spelled out ("200 personas" is "doscientos personas"; of units and
currencies it agrees), ordinals past the ending they show, Roman numerals.
"""

from data_pipeline.normalize.calendar import any_month, numeric_dates, times
from data_pipeline.normalize.rules import Noun, Rules
from data_pipeline.normalize.spelling import cardinal

MONTHS = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()
MONTH = any_month("enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre diciembre")
CENT = Noun("centavo", "centavos", gender="m")
CENT_OF_EURO = Noun("céntimo", "céntimos", gender="m")


def date(day: int, month: int, in_year: int | None) -> str:
    spoken = "primero" if day == 1 else cardinal(day, RULES)
    return f"{spoken} de {MONTHS[month - 1]}" + (f" de {cardinal(in_year, RULES)}" if in_year else "")


def time(hour: int, minute: int) -> str:
    """'una y cinco', 'nueve', after the article that the text has."""
    spoken = cardinal(hour, RULES, "f")
    return f"{spoken} y {cardinal(minute, RULES)}" if minute else spoken


PASSES = (
    *numeric_dates(date),
    (rf"(?<![\w.,:/-])(?:1|1º|1\.º|1ro|1ero)(?= de {MONTH}\b)", lambda match: "primero"),
    times(time, r" ?h(?:rs?)?\.?(?!\w)"),
)

RULES = Rules(
    code="es",
    sample="Gracias por llamar.",
    within_sentences=(
        "sr sra srta sres dr dra d da dña ud uds vd vds lic ing prof av avda dpto depto tel "
        "etc aprox gral cía"
    ),
    decimal_mark=",",
    spaced_thousands=True,
    point="coma",
    paired_fraction=True,
    cardinals={"": "spellout-numbering", "m": "spellout-cardinal-masculine", "f": "spellout-cardinal-feminine"},
    ordinals={r"\.?º": "spellout-ordinal-masculine", r"\.?ª": "spellout-ordinal-feminine",
              r"\.?(?:er|ᵉʳ)\b": "spellout-ordinal-masculine-adjective"},
    minus="menos",
    to="a",
    cents=("con ", True),
    link="de ",
    fractions={"1/2": "un medio", "1/3": "un tercio", "2/3": "dos tercios", "1/4": "un cuarto",
               "3/4": "tres cuartos"},
    symbols={"%": "por ciento", "&": "y", "@": "arroba", "+": "más", "#": "almohadilla", "$": "dólares", "€": "euros",
             "£": "libras", "¥": "yenes", "°": "grados"},
    counted={
        "%": Noun("por ciento"), "°": Noun("grado", "grados", gender="m"),
        "°C": Noun("grado celsius", "grados celsius", gender="m"),
        "$": Noun("dólar", "dólares", gender="m", part=CENT), "USD": Noun("dólar", "dólares", gender="m", part=CENT),
        "€": Noun("euro", "euros", gender="m", part=CENT_OF_EURO),
        "EUR": Noun("euro", "euros", gender="m", part=CENT_OF_EURO),
        "£": Noun("libra", "libras", gender="f", part=Noun("penique", "peniques", gender="m")),
        "¥": Noun("yen", "yenes", gender="m"),
        "km": Noun("kilómetro", "kilómetros", gender="m"), "m": Noun("metro", "metros", gender="m"),
        "cm": Noun("centímetro", "centímetros", gender="m"), "mm": Noun("milímetro", "milímetros", gender="m"),
        "km/h": Noun("kilómetro por hora", "kilómetros por hora", gender="m"),
        "m²": Noun("metro cuadrado", "metros cuadrados", gender="m"),
        "km²": Noun("kilómetro cuadrado", "kilómetros cuadrados", gender="m"),
        "kg": Noun("kilogramo", "kilogramos", gender="m"), "g": Noun("gramo", "gramos", gender="m"),
        "mg": Noun("miligramo", "miligramos", gender="m"), "l": Noun("litro", "litros", gender="m"),
        "ml": Noun("mililitro", "mililitros", gender="m"), "h": Noun("hora", "horas", gender="f"),
        "min": Noun("minuto", "minutos", gender="m"), "MB": Noun("megabyte", "megabytes", gender="m"),
        "GB": Noun("gigabyte", "gigabytes", gender="m"), "Hz": Noun("hercio", "hercios", gender="m"),
    },
    leading={"Sr.": "señor", "Sra.": "señora", "Srta.": "señorita", "Sres.": "señores", "Dr.": "doctor",
             "Dra.": "doctora", "Prof.": "profesor", "Lic.": "licenciado", "Ing.": "ingeniero", "Gral.": "general",
             "Avda.": "avenida", "Av.": "avenida", "p. ej.": "por ejemplo", "aprox.": "aproximadamente"},
    abbreviations={"Ud.": "usted", "Uds.": "ustedes", "Vd.": "usted", "Vds.": "ustedes", "etc.": "etcétera",
                   "dpto.": "departamento", "EE. UU.": "estados unidos", "EEUU": "estados unidos"},
    before_number={"n.º": "número", "nº": "número", "n°": "número", "núm.": "número", "núms.": "números",
                   "No.": "número", "pág.": "página", "págs.": "páginas", "#": "número", "№": "número",
                   "tel.": "teléfono"},
    passes=PASSES,
)  # fmt: skip
