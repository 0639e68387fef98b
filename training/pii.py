"""Finds what tells who a person is: addresses of all kinds, numbers of cards, accounts, phones and orders, names.

Rules of this file and of `training.pii_words`:

1. Missing something is worse than masking too much, but words that intents and slots are learned from (prices, sizes,
   dates of orders) are left alone.
2. Where a checksum exists it decides (Luhn for cards, ISO 7064 mod 97 for IBANs); a long number that fails it is still
   masked, as a plain number. So a digit typed wrong hides the kind and not the person.
3. Every pattern is bounded, and most texts are sent away by one look for a digit, an "@" or a cue word.

The patterns are our own: Presidio's recognisers come only together with spaCy (decision 0118).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
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
    """What is in a text, without overlaps, in order.

    `regions` are the countries whose phone numbers come without a prefix.
    """
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
_URL = re.compile(
    r"(?<![A-Za-z0-9@])[a-z][a-z0-9+.-]{1,20}://(?:[^\s/?#@\"'<>，。；]{1,200}@[^\s\"'<>，。；]{1,1500}"
    r"|[^\s\"'<>，。；]{1,500}[?&;#](?:access_?token|auth|token|api_?key|key|secret|password|passwd|pwd|session(?:id)?|"
    r"sid|sig|signature|code|email|user)=[^\s\"'<>，。；]{1,1500})",
    re.IGNORECASE,
)
_L = r"A-Za-z0-9_\u00c0-\u1fff"
"""Letters and digits of scripts that write words apart; in Chinese an address stands right beside other words."""
_EMAIL = re.compile(
    rf"(?<![{_L}.%+-])[{_L}][{_L}.%+'-]{{0,63}}@(?:[{_L}](?:[{_L}]|-){{0,62}}\.){{1,8}}[A-Za-z\u00c0-\u1fff]{{2,24}}(?![{_L}-])"
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
    r"(?![a-z]{1,14}[,.!?]*(?:\s|$))|(?:密码|口令|验证码)(?:是|为|：|:)\ ?(?=[!-~]))"
    r"(?P<value>[^\s，。！？]{2,63}[^\s.,;:!?，。！？])",
    re.IGNORECASE,
)
"""A plain word is no secret: "my password is wrong"."""


def _numeric(text: str, regions: tuple[str, ...]) -> list[Finding]:
    found = [Finding("DOB", *span) for span in births(text)]
    found += [*_ibans(text), *_cards(text), *_ips(text), *_called(text)]
    return [*found, *_phones(_blanked(text, found), regions), *_long_numbers(text)]


def _blanked(text: str, found: Iterable[Finding]) -> str:
    """The text without what was found; places stay the same."""
    for item in found:
        text = text[: item.start] + "x" * (item.end - item.start) + text[item.end :]
    return text


_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ \-]?[A-Za-z0-9]){11,30}(?![A-Za-z0-9])")
_IBAN_COUNTRIES = {
    15: "NO",
    16: "BE BI",
    18: "DK FI FO GL NL SD",
    19: "MK SI",
    20: "AT BA EE KZ LT LU MN XK",
    21: "CH HR LI LV",
    22: "BG BH CR DE GB GE IE ME RS VA",
    23: "AE GI IL IQ OM SO TL",
    24: "AD CZ ES MD PK RO SA SE SK TN VG",
    25: "LY PT ST",
    26: "IS TR",
    27: "BF BJ CI CM CV DJ DZ FR GR IT MC MG MR SM",
    28: "AL AZ BY CY DO GT HN HU LB NI PL SN SV",
    29: "BR EG PS QA UA",
    30: "JO KW MU YE",
    31: "MT SC",
    32: "LC",
    33: "RU",
}
_IBAN_LENGTHS = {country: length for length, names in _IBAN_COUNTRIES.items() for country in names.split()}
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
_GROUPED_CARD = re.compile(r"(?<!\d)(?:\d{4}[ \-]){3}\d{4}(?!\d)|(?<!\d)3\d{3}[ \-]\d{6}[ \-]\d{5}(?!\d)")


def _cards(text: str) -> Iterator[Finding]:
    for pattern in (_CARD, _GROUPED_CARD):
        for match in pattern.finditer(text):
            digits = [int(char) for char in match.group() if char.isdecimal()]
            if digits[0] and luhn(digits):
                yield Finding("CARD", *match.span())


def luhn(digits: list[int]) -> bool:
    """Whether the check digit of a card's number is right (ISO/IEC 7812-1)."""
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


_IP4 = re.compile(rf"(?<![{_L}.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![{_L}]|\.\d)")
_IP6 = re.compile(
    rf"(?<![{_L}:.])[0-9A-Fa-f]{{0,4}}(?::[0-9A-Fa-f]{{0,4}}){{2,7}}(?:(?<=:)\d{{1,3}}(?:\.\d{{1,3}}){{3}})?(?![{_L}:])"
)


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


def _called(text: str) -> Iterator[Finding]:
    """Phone numbers with a country's prefix, and what follows a word such as "call"."""
    for pattern, group in ((_WITH_PREFIX, 0), (_CALLED, "value")):
        yield from (Finding("PHONE", *match.span(group)) for match in pattern.finditer(text))


def _phones(text: str, regions: tuple[str, ...]) -> Iterator[Finding]:
    """What the countries' numbering plans know. The library is slow, so it is asked only about digits that are left."""
    text = _AMOUNT_OR_DATE.sub(lambda match: "x" * len(match.group()), text)
    for region in regions:
        if not _SEVEN_DIGITS.search(text):
            return
        import phonenumbers

        matches = phonenumbers.PhoneNumberMatcher(text, region, max_tries=20)
        found = [Finding("PHONE", match.start, match.end) for match in matches]
        yield from found
        text = _blanked(text, found)


_MONEY = r"(?:[$€£¥₹￥]|(?:USD|EUR|GBP|CNY|RMB|JPY|CHF)\ ?)"
_MONTHS = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_AMOUNT_OR_DATE = re.compile(
    rf"{_MONEY}\ ?\d[\d,.]{{0,20}}"
    rf"|(?<![\d,.])\d[\d,.]{{0,20}}\ ?(?:[€£¥￥元块]|(?:USD|EUR|GBP|CNY|RMB|dollars?|euros?|pounds?|yuan|bucks)\b)"
    r"|(?<![\d.\-/])(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2}))(?![\d]|[-/.]\d)"
    r"(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
    rf"|\d{{4}}年\d{{1,2}}月\d{{1,2}}[日号]|\b\d{{1,2}}(?:st|nd|rd|th)?\ (?:of\ )?{_MONTHS},?\ \d{{4}}\b"
    r"|(?<!\d)\d{1,2}:\d{2}(?::\d{2})?(?!\d)|(?<![\d.])\d{1,4}(?:,\d{3}){1,6}(?:\.\d{1,9})?(?!\d)|(?<![\d.])\d{1,20}\.\d{1,2}(?![\d.])",
    re.IGNORECASE,
)
"""Numbers that name nobody: prices, dates, times. They are needed for slots."""
_UNITS = r"(?:mah|wh|km|ml|mm|cm|kg|hz|khz|rpm|btu|lm|px|w|v|g|m|k|ppm)"
_LONG = re.compile(
    rf"(?<![\w.,])\d{{{FEWEST_DIGITS},40}}(?!\d|\ ?{_UNITS}(?!\w))(?!,\d{{3}})(?!\w)"
    r"|(?<![\w.])(?:0|\+)\d{1,5}(?:[ \-/.]\d{1,8}){1,5}(?!\w)|(?<![\w.\-])\d{2,}(?:-\d{2,}){1,6}(?![\w\-])"
    r"|(?<![\w.])\d{2,4}(?:\ \d{2,4}){2,6}(?!\w|\.\d)|(?<![\w.])(?:\d{3}\ \d{4}|\d{2}\ \d{6})(?!\w|\.\d|\ \d)"
    r"|\(\d{2,5}\)[\ \-]?\d{2,5}(?:[\ \-]\d{2,5}){0,3}(?!\w)",
    re.IGNORECASE,
)
"""Digits in one run, or in groups as phone, account and card numbers are written."""
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
