"""How characters are said: the names of letters, digits and signs in English and German (ICAO and DIN 5009)."""

from __future__ import annotations


def _by_letter(names: str) -> dict[str, str]:
    return {name[0].lower(): name for name in names.split()}


_ICAO = (
    "alfa alpha bravo charlie delta echo foxtrot golf hotel india juliet juliett kilo lima mike november oscar papa "
    "quebec romeo sierra tango uniform victor whiskey whisky xray x-ray yankee zulu"
)
_DIN = (
    "anton berta cäsar dora emil friedrich gustav heinrich ida julius kaufmann konrad ludwig martha nordpol otto paula "
    "quelle richard samuel siegfried theodor ulrich viktor wilhelm xanthippe ypsilon zacharias zeppelin"
)
NAMES = {name: name[0] for name in (_ICAO + " " + _DIN).split()}
"""Names that stand for their first letter."""
DIGITS = {
    "zero": "0", "oh": "0", "o": "0", "nought": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9",
    "null": "0", "eins": "1", "ein": "1", "eine": "1", "zwei": "2", "zwo": "2", "drei": "3", "vier": "4", "fünf": "5",
    "sechs": "6", "sieben": "7", "acht": "8", "neun": "9",
}  # fmt: skip
TEENS = {
    "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15", "sixteen": "16",
    "seventeen": "17", "eighteen": "18", "nineteen": "19",
    "zehn": "10", "elf": "11", "zwölf": "12", "dreizehn": "13", "vierzehn": "14", "fünfzehn": "15", "sechzehn": "16",
    "siebzehn": "17", "achtzehn": "18", "neunzehn": "19",
}  # fmt: skip
TENS = {
    "twenty": "2", "thirty": "3", "forty": "4", "fifty": "5", "sixty": "6", "seventy": "7", "eighty": "8",
    "ninety": "9",
}  # fmt: skip
GERMAN_TENS = {
    "zwanzig": "2", "dreissig": "3", "vierzig": "4", "fünfzig": "5", "sechzig": "6", "siebzig": "7", "achtzig": "8",
    "neunzig": "9",
}  # fmt: skip
SIGNS = {
    "dash": "-", "hyphen": "-", "minus": "-", "bindestrich": "-", "strich": "-", "slash": "/", "schrägstrich": "/",
    "dot": ".", "point": ".", "punkt": ".", "underscore": "_", "unterstrich": "_", "plus": "+",
}  # fmt: skip
TIMES = {"double": 2, "doppel": 2, "doppelt": 2, "triple": 3, "treble": 3, "dreifach": 3}
SAID = {
    "en": {".": "dot", "-": "dash", "_": "underscore", "@": "at", "/": "slash", "+": "plus"},
    "de": {".": "Punkt", "-": "Bindestrich", "_": "Unterstrich", "@": "ät", "/": "Schrägstrich", "+": "plus"},
}
"""Signs as they are read back."""
EXPLAINED = {
    "en": _by_letter(
        "Alpha Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliet Kilo Lima Mike November Oscar Papa Quebec Romeo"
        " Sierra Tango Uniform Victor Whiskey X-ray Yankee Zulu"
    ),
    "de": _by_letter(
        "Anton Berta Cäsar Dora Emil Friedrich Gustav Heinrich Ida Julius Kaufmann Ludwig Martha Nordpol Otto Paula"
        " Quelle Richard Samuel Theodor Ulrich Viktor Wilhelm Xanthippe Ypsilon Zeppelin"
    ),
}
"""The word that explains a letter when it is read back."""
AS_IN = {"en": "as in", "de": "wie"}
