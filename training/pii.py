"""Finds what tells who a person is: addresses of all kinds, numbers of cards, accounts, phones and orders, names.

Rules of this file and of `training.pii_words`:

1. Missing something is worse than masking too much, but words that intents and slots are learned from (prices, sizes,
   dates of orders) are left alone.
2. Where a checksum exists it decides (Luhn for cards, ISO 7064 mod 97 for IBANs); a long number that fails it is still
   masked, as a plain number. So a digit typed wrong hides the kind and not the person.
3. Every pattern is bounded, and most texts are sent away by one look for a digit, an "@" or a cue word.

The patterns are our own: Presidio's recognisers come only together with spaCy (decision 0121).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from training.pii_words import addresses, births, names

Kind = Literal["URL", "EMAIL", "IBAN", "CARD", "IP", "DOB", "PHONE", "ADDRESS", "NAME", "SECRET", "NUMBER"]
KINDS: tuple[Kind, ...] = ("URL", "EMAIL", "IBAN", "CARD", "IP", "DOB", "PHONE", "ADDRESS", "NAME", "SECRET", "NUMBER")
"""From the most certain to the least: where findings overlap, the first of these names the whole."""
_RANK = {kind: rank for rank, kind in enumerate(KINDS)}
FEWEST_DIGITS = 5
"""A run of digits from this length on names an order, a customer or a place."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Characters `start` to `end` (exclusive) of a text are of this kind."""

    kind: Kind
    start: int
    end: int


def find(text: str, regions: tuple[str, ...] = ("US",)) -> list[Finding]:
    """What is in a text, without overlaps, in order. `regions` are countries whose phone numbers come without prefix."""
    found = list(_words(text))
    if "@" in text or "://" in text or " at " in text.lower():
        found += [*_urls(text), *_emails(text)]
    if _DIGIT.search(text):
        found += _numeric(text, regions)
    elif text.count(":") > 1:
        found += _ips(text)
    return settle(found)


def settle(found: list[Finding]) -> list[Finding]:
    """Findings that overlap become one over both, of the more certain kind."""
    settled: list[Finding] = []
    for item in sorted(found, key=lambda item: (item.start, -item.end)):
        if settled and item.start < settled[-1].end:
            last = settled[-1]
            kind = min(last.kind, item.kind, key=_RANK.__getitem__)
            settled[-1] = Finding(kind, last.start, max(last.end, item.end))
        else:
            settled.append(item)
    return settled


_DIGIT = re.compile(r"\d")
_WORD_CHARACTERS = r"\w"
_URL = re.compile(
    r"(?<![\w@])[a-z][a-z0-9+.-]{1,20}://(?:[^\s/?#@\"'<>，。；]{1,200}@[^\s\"'<>，。；]{1,1500}"
    r"|[^\s\"'<>，。；]{1,500}[?&;#](?:access_?token|auth|token|api_?key|key|secret|password|passwd|pwd|session(?:id)?|"
    r"sid|sig|signature|code|email|user)=[^\s\"'<>，。；]{1,1500})",
    re.IGNORECASE,
)
_EMAIL = re.compile(
    r"(?<![\w.%+-])[\w][\w.%+'-]{0,63}@(?:[^\W_](?:[^\W_]|-){0,62}\.){1,8}[^\W\d_]{2,24}(?![\w-])", re.UNICODE
)
_SPOKEN_EMAIL = re.compile(
    r"(?<![\w.])[a-z0-9][\w.+-]{0,40}(?:\ (?:dot|underscore|dash)\ [a-z0-9]{1,30}){0,3}(?:\ at\ |\ ?[\[(]at[\])]\ ?)"
    r"[a-z0-9][\w-]{0,40}(?:(?:\ dot\ |\ ?[\[(]dot[\])]\ ?|\.)[a-z]{2,15}){0,2}(?:\ dot\ |\ ?[\[(]dot[\])]\ ?)"
    r"(?:com|org|net|io|de|fr|co|uk|eu|cn|edu|info|me)(?!\w)",
    re.IGNORECASE,
)


def _urls(text: str) -> Iterator[Finding]:
    """Addresses of pages that carry a name with a password, a token or a person's address."""
    for match in _URL.finditer(text):
        yield Finding("URL", match.start(), match.start() + len(match.group().rstrip(".,;:!?)]}")))


def _emails(text: str) -> Iterator[Finding]:
    for pattern in (_EMAIL, _SPOKEN_EMAIL):
        yield from (Finding("EMAIL", *match.span()) for match in pattern.finditer(text))


def _words(text: str) -> Iterator[Finding]:
    yield from (Finding("NAME", *span) for span in names(text))
    yield from (Finding("ADDRESS", *span) for span in addresses(text))
    yield from (Finding("SECRET", *match.span("value")) for match in _SECRET.finditer(text))


_SECRET = re.compile(
    r"(?:\b(?:password|passwort|passcode|pin(?:\ (?:code|number))?|cvv2?|cvc2?|security\ code)\ ?(?:is|:|=)\ ?"
    r"(?![a-z]{1,14}(?:[\ ,.!?]|$))|(?:密码|口令|验证码)(?:是|为|：|:)\ ?(?=[!-~]))(?P<value>[^\s，。！？]{2,63}[^\s.,;:!?，。！？])",
    re.IGNORECASE,
)
"""A plain word is no secret: "my password is wrong"."""


def _numeric(text: str, regions: tuple[str, ...]) -> Iterator[Finding]:
    yield from (Finding("DOB", *span) for span in births(text))
    yield from _ibans(text)
    yield from _cards(text)
    yield from _ips(text)
    yield from _phones(text, regions)
    yield from _long_numbers(text)


_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ \-]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15), **dict.fromkeys(("BE", "BI"), 16), **dict.fromkeys(("DK", "FI", "FO", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19), **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "XK", "MN"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21), **dict.fromkeys(("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "TL", "OM", "SO"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24), **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26), **dict.fromkeys(("BF", "BJ", "CI", "CM", "CV", "DZ", "FR", "GR", "IT", "MC", "MR", "SM", "DJ", "MG"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HN", "HU", "LB", "NI", "PL", "SN", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29), **dict.fromkeys(("JO", "KW", "MU", "YE"), 30), **dict.fromkeys(("MT", "SC"), 31),
    "LC": 32, "RU": 33,
}  # fmt: skip
"""Characters of an IBAN by country: the registry of ISO 13616."""


def _ibans(text: str) -> Iterator[Finding]:
    """The longest beginning of a run that is as long as its country wants and passes mod 97."""
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match.group()[:2].upper())
        ends = [n + 1 for n, char in enumerate(match.group()) if char.isalnum()]
        if length is None or length > len(ends):
            continue
        end = ends[length - 1]
        if is_iban(match.group()[:end]):
            yield Finding("IBAN", match.start(), match.start() + end)


def is_iban(text: str) -> bool:
    """Whether the check digits are right (ISO 13616, ISO 7064 mod 97-10)."""
    plain = "".join(char for char in text.upper() if char.isalnum())
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(char, 36)) for char in turned)) % 97 == 1


_CARD = re.compile(r"(?<![\d.,])\d(?:[ \-–.]?\d){12,18}(?!\d)")


def _cards(text: str) -> Iterator[Finding]:
    for match in _CARD.finditer(text):
        digits = [int(char) for char in match.group() if char.isdecimal()]
        if digits[0] and luhn(digits):
            yield Finding("CARD", *match.span())


def luhn(digits: list[int]) -> bool:
    """Whether the check digit of a card's number is right (ISO/IEC 7812-1)."""
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


_IP4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?(?![\w:])")


def _ips(text: str) -> Iterator[Finding]:
    for pattern in (_IP4, _IP6):
        yield from (Finding("IP", *match.span()) for match in pattern.finditer(text) if _is_ip(match.group()))


def _is_ip(text: str) -> bool:
    if text.replace(":", "") == "":
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_SEVEN_DIGITS = re.compile(r"(?:\d[^\dA-Za-z]{0,4}){6}\d")
_CALLED = re.compile(
    r"(?:\b(?:phone|call|tel|telephone|mobile|cell|fax|whatsapp|ring|text|sms|reach\ me|contact)\b[^\d+(\n]{0,30}"
    r"|(?:电话|手机|号码|联系|打给|拨)[^\d+(\n]{0,12})(?P<value>[+(]?\d(?:[\s().\-/]{0,2}\d){5,15})(?!\d)",
    re.IGNORECASE,
)
_WITH_PREFIX = re.compile(r"(?<![\w+])(?:\+|00)\(?[1-9](?:[\s().\-/]{0,3}\d){6,14}(?!\d)")


def _phones(text: str, regions: tuple[str, ...]) -> Iterator[Finding]:
    """What the numbering plans know, what has a country's prefix, and what follows a word such as "call"."""
    if not _SEVEN_DIGITS.search(text):
        return
    for pattern, group in ((_WITH_PREFIX, 0), (_CALLED, "value")):
        yield from (Finding("PHONE", *match.span(group)) for match in pattern.finditer(text))
    if _AMOUNT_OR_DATE.sub("", text) != text and not _SEVEN_DIGITS.search(_AMOUNT_OR_DATE.sub("x", text)):
        return
    import phonenumbers

    kept = _AMOUNT_OR_DATE.sub(lambda match: "x" * len(match.group()), text)
    for region in regions:
        for match in phonenumbers.PhoneNumberMatcher(kept, region, max_tries=20):
            yield Finding("PHONE", match.start, match.end)


_MONEY = r"(?:[$€£¥₹￥]|(?:USD|EUR|GBP|CNY|RMB|JPY|CHF)\ ?)"
_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_AMOUNT_OR_DATE = re.compile(
    rf"{_MONEY}\ ?\d[\d,.]*|\d[\d,.]*\ ?(?:[€£¥￥元块]|(?:USD|EUR|GBP|CNY|RMB|dollars?|euros?|pounds?|yuan|bucks)\b)"
    r"|(?<![\d.\-/])(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2}))(?![\d]|[-/.]\d)"
    r"(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
    rf"|\d{{4}}年\d{{1,2}}月\d{{1,2}}[日号]|\b\d{{1,2}}(?:st|nd|rd|th)?\ (?:of\ )?{_MONTHS},?\ \d{{4}}\b"
    r"|(?<!\d)\d{1,2}:\d{2}(?::\d{2})?(?!\d)|(?<![\d.])\d{1,4}(?:,\d{3})+(?:\.\d+)?(?!\d)|(?<![\d.])\d+\.\d{1,2}(?![\d.])",
    re.IGNORECASE,
)
"""Numbers that name nobody: prices, dates, times. They are needed for slots."""
_UNITS = r"(?:mah|wh|km|ml|mm|cm|kg|hz|khz|rpm|btu|lm|px|w|v|g|m|k|ppm)"
_LONG = re.compile(
    rf"(?<![\w.,]){{digits}}(?!\d|\ ?{_UNITS}(?!\w))".replace("{digits}", rf"\d{{{FEWEST_DIGITS},40}}")
    + r"(?!,\d{3})(?!\w)|(?<![\w.])(?:0|\+)\d{1,5}(?:[ \-/.]\d{1,8}){1,5}(?!\w)"
    r"|(?<![\w.\-])\d{2,}(?:-\d{2,}){1,6}(?![\w\-])|(?<![\w.])\d{2,4}(?:\ \d{2,4}){2,6}(?!\w|\.\d)",
    re.IGNORECASE,
)
_CODE = re.compile(r"(?<![A-Za-z0-9\-_.])[A-Za-z0-9]{1,30}(?:[-_/][A-Za-z0-9]{1,20}){0,5}(?![A-Za-z0-9_]|-\w)")
_IN_HAN = re.compile(
    rf"(?<=[\u4e00-\u9fff#：])\d{{{FEWEST_DIGITS},40}}(?=[\u4e00-\u9fff])|(?<=[\u4e00-\u9fff#])\d{{{FEWEST_DIGITS},40}}"
)
_UNIT_AFTER = re.compile(rf"\d{_UNITS}$", re.IGNORECASE)


def _long_numbers(text: str) -> Iterator[Finding]:
    """Long numbers, and codes with many digits such as KC-48213: an order, a customer, a parcel, a postal code."""
    kept = _AMOUNT_OR_DATE.sub(lambda match: "\n" * len(match.group()), text)
    for match in _LONG.finditer(kept):
        if _digits(match.group()) >= FEWEST_DIGITS:
            yield Finding("NUMBER", *match.span())
    for match in _CODE.finditer(kept):
        if _digits(match.group()) >= FEWEST_DIGITS and not _UNIT_AFTER.search(match.group()):
            yield Finding("NUMBER", *match.span())
    yield from (Finding("NUMBER", *match.span()) for match in _IN_HAN.finditer(kept))


@cache
def _is_digit(char: str) -> bool:
    return char.isdecimal()


def _digits(text: str) -> int:
    return sum(map(_is_digit, text))
