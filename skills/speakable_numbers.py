"""Numbers in words, by ICU's rules (unicode-rbnf), and characters one by one."""

from __future__ import annotations

from functools import cache

from unicode_rbnf import RbnfEngine

MOST_DIGITS = 12
"""Longer numbers are said digit by digit; nobody follows their words."""
_DIGITS = {
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "de": ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
    "zh": ("零", "一", "二", "三", "四", "五", "六", "七", "八", "九"),
}
_CARDINALS = {"en": "spellout-cardinal", "de": "spellout-numbering", "zh": "spellout-cardinal"}
_GROUP = 3


@cache
def _engine(language: str) -> RbnfEngine:
    return RbnfEngine.for_language(language)


def _said(number: int, language: str, rules: str) -> str:
    found = _engine(language).format_number(number, ruleset_names=[rules])
    return found.text.replace("\u00ad", "").strip()


def cardinal(number: int, language: str) -> str:
    """A whole number from 0 up: "twenty-one"."""
    return _said(number, language, _CARDINALS[language])


def ordinal(number: int, language: str, ending: str = "") -> str:
    """A place in an order: "twenty-first"; German takes an ending: r, n or s."""
    return _said(number, language, f"spellout-ordinal-{ending}" if ending else "spellout-ordinal")


def year(number: int, language: str) -> str:
    """A year as it is said: "twenty twenty-six"; in Chinese digit by digit."""
    if language == "zh":
        return digit_by_digit(str(number), language)
    return _said(number, language, "spellout-numbering-year")


def digit_by_digit(digits: str, language: str) -> str:
    """Every digit by its name, without groups."""
    return ("" if language == "zh" else " ").join(_DIGITS[language][int(digit)] for digit in digits)


def in_groups(digits: str, language: str) -> str:
    """Every digit by its name, in groups that can be written down while listening: 48213 is 482, 13."""
    groups = [digits[start : start + _GROUP] for start in range(0, len(digits), _GROUP)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2:] = [groups[-2] + groups[-1]]
    return ("，" if language == "zh" else ", ").join(digit_by_digit(group, language) for group in groups)


def spelled(text: str, language: str) -> str:
    """Characters one by one: letters as capitals, digits by their names; whatever else is there is a short pause."""
    parts = [
        _DIGITS[language][int(sign)] if sign.isdecimal() else sign.upper() if sign.isalpha() else "," for sign in text
    ]
    return " ".join(parts).replace(" ,", ",").strip(" ,")
