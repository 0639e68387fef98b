"""Numbers as people write them: digits with separators, English and other spelled numbers, Chinese numerals.

`price-parser` reads separators and `text2num` spelled numbers; Chinese numerals, which neither knows, are read here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from skills.entities_rules import MAX_FOUND

DIGITS = r"\d{1,15}(?:[.,]\d{1,15}){0,5}"
"""Pattern of a number in digits."""
HAN = "[零〇一二两三四五六七八九十百千万亿]{1,20}"
"""Pattern of a Chinese numeral."""
SPELLED = (
    "a|an|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|ninety"
)
"""Pattern of the spelled numbers that stand before units of time."""

_NUMBER = re.compile(rf"(?<![A-Za-z0-9_.,])[-+]?{DIGITS}(?![A-Za-z0-9_]|[.,]\d)")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*|\d+|\S")
_HAN_NUMBER = re.compile(
    rf"(?<!第){HAN}(?=[个個件张張位本只隻次天块塊元人份台部条條双雙杯瓶盒箱包套号號])|(?<!\S){HAN}(?!\S)"
)
_HAN_VALUES = {sign: value for value, signs in enumerate(("零〇", "一", "二两", *"三四五六七八九")) for sign in signs}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_GROUPS = {"亿": 10**8, "万": 10**4}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number found at these characters."""

    value: int | float
    start: int
    end: int


def numbers(text: str, language: str = "en") -> list[Quantity]:
    """The numbers of a text, in no order; spelled numbers in the given language if `text2num` knows it."""
    found = [Quantity(value_of(match.group()), *match.span()) for match in _NUMBER.finditer(text)]
    if not text.isascii():
        found += [Quantity(han_value(match.group()), *match.span()) for match in _HAN_NUMBER.finditer(text)]
    found += _spelled(text, language)
    return found[:MAX_FOUND]


@lru_cache(maxsize=1024)
def value_of(digits: str) -> int | float:
    """The value of `DIGITS` with an optional sign: "1,299" is 1299, "1.299,50" is 1299.5, "1.5" is 1.5."""
    from price_parser.parser import parse_number

    value = parse_number(digits.lstrip("+-"))
    if value is None:  # pragma: no cover - the pattern admits only what the parser reads
        return 0
    signed = -value if digits.startswith("-") else value
    return int(signed) if signed == signed.to_integral_value() else float(signed)


def spelled_value(word: str) -> float:
    """The value of one of the words of `SPELLED`, of digits or of a Chinese numeral."""
    if word[0].isdigit():
        return float(value_of(word))
    if word[0] in _HAN_VALUES or word[0] in _UNITS:
        return float(han_value(word))
    if word.lower() in ("a", "an"):
        return 1.0
    from text_to_num import text2num

    return float(text2num(word.lower(), "en"))


def han_value(numeral: str) -> int:
    """The value of a Chinese numeral: 三十五 is 35, 两千零一 is 2001, 二〇二六 is 2026."""
    total, section, digit, positional = 0, 0, 0, True
    for sign in numeral:
        if sign in _HAN_VALUES:
            digit = digit * (10 if positional else 0) + _HAN_VALUES[sign]
            continue
        positional = False
        if sign in _UNITS:
            section += (digit or 1) * _UNITS[sign]
        else:
            total = (total + section + digit) * _GROUPS[sign]
            section = 0
        digit = 0
    return total + section + digit


def _spelled(text: str, language: str) -> list[Quantity]:
    from text_to_num import find_numbers

    words = [_Token(match.group(), *match.span()) for match in _WORD.finditer(text)]
    try:
        occurrences = find_numbers(words, language[:2], threshold=0)
    except ValueError:  # a language that the library does not know
        return []
    return [
        Quantity(_plain(float(item.value)), words[item.start].start, words[item.end - 1].end)
        for item in occurrences
        if not item.is_ordinal and (item.end - item.start > 1 or _stands_for_number(words, item.start))
    ]


def _stands_for_number(words: list[_Token], index: int) -> bool:
    """Digits were found before; "one" is mostly a pronoun ("this one") unless it is all that was said."""
    word = words[index]
    return word.spelled and (word.word.lower() != "one" or len(words) == 1)


def _plain(value: float) -> int | float:
    return int(value) if value.is_integer() else value


@dataclass(frozen=True, slots=True)
class _Token:
    """A word as `text2num` wants it. The library aborts on what is not valid text, so it sees letters only."""

    word: str
    start: int
    end: int

    @property
    def spelled(self) -> bool:
        """Whether it is made of letters, hyphens between them included."""
        return self.word.replace("-", "").isalpha()

    def text(self) -> str:
        """The word, or a full stop for anything that is not letters."""
        return self.word if self.spelled else "."

    def nt_separated(self, previous: _Token) -> bool:
        """Whether something separates this word from the previous one beyond space."""
        return False

    def not_a_number_part(self) -> bool:
        """Whether this cannot belong to a number, whatever it looks like."""
        return not self.spelled
