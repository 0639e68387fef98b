"""Entity types that every bot may use without examples: number, money, duration, date, time, email, phone, url.

Rules of this file:

1. Only the types that the bot declares are looked for, and only in the first `MAX_TEXT` characters.
2. Every pattern is bounded, so no text costs more than its length; what a library reads slowly is counted.
3. Values are plain JSON: a number, an amount of money as a number (its currency is in the entity's text), seconds for a
   duration, ISO dates and times, a phone number in E.164 if it is valid, else as digits; a URL as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import partial

from pydantic import JsonValue

from bot.core.errors import SettingsError
from bot.core.events import Entity
from skills.entities_dates import dates, local_time, times, warm_up
from skills.entities_numbers import DIGITS, HAN, SPELLED, numbers, spelled_value, value_of
from skills.entities_rules import MAX_FOUND, MAX_TEXT, spanned

_COUNTRIES = {
    "en": "US",
    "zh": "CN",
    "ja": "JP",
    "ko": "KR",
    "sv": "SE",
    "da": "DK",
    "cs": "CZ",
    "el": "GR",
    "hi": "IN",
}


@dataclass(frozen=True, slots=True)
class Locality:
    """Where the bot's users are. `region` is their country in ISO 3166 letters; empty for the language's main one.

    The country decides how phone numbers without a prefix and dates like 3/4 are read.
    """

    language: str = "en"
    region: str = ""
    timezone: str = "UTC"

    @property
    def country(self) -> str:
        """The region, or the language's main country."""
        return self.region or _COUNTRIES.get(self.language[:2], self.language[:2].upper())

    @property
    def month_first(self) -> bool:
        """Whether 3/4 is 4 March there."""
        return self.country in ("US", "PH", "CA")


Found = Iterator[tuple[JsonValue, int, int]]
_Finder = Callable[[str, float, Locality], Found]

_SIGNS = "$€£¥₹₽₩￥"
_CODES = "USD|EUR|GBP|CNY|RMB|JPY|CHF|CAD|AUD|HKD|INR|SEK|NOK|DKK|PLN|KRW|BRL"
_NAMES = r"dollars?|bucks?|euros?|pounds?|quid|yuan|yen|rupees?|francs?|美元|欧元|英镑|日元|人民币|港币|块钱|块|塊|元"
_SCALE = r"(?:\ ?(?:k|thousand|million|mn|bn|billion|万|亿)(?![a-z]))?"
_MONEY = re.compile(
    rf"(?<![\w.,])(?:(?:US|CA|A|HK)?[{_SIGNS}]\ ?|(?:{_CODES})\ )(?P<a>{DIGITS})(?P<s>{_SCALE})(?!\d)"
    rf"|(?<![A-Za-z0-9_.,])(?P<b>{DIGITS})(?P<t>{_SCALE})\ ?(?:[{_SIGNS}]|(?:{_CODES})\b|(?:{_NAMES})(?![a-z]))"
    rf"|\b(?P<c>{SPELLED})\ (?:{_NAMES})\b"
    rf"|(?P<d>{HAN})\ ?(?:块钱|块|塊|元|美元|欧元|英镑|日元|人民币)",
    re.IGNORECASE,
)
_SCALES = {"k": 1e3, "thousand": 1e3, "million": 1e6, "mn": 1e6, "bn": 1e9, "billion": 1e9, "万": 1e4, "亿": 1e8}
_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][\w.%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}[A-Za-z]{2,24}(?![\w-])"
)
_URL = re.compile(
    r"(?<![\w@.-])(?:https?://[^\s<>\"'，。！？；）]{1,2000}"
    r"|(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}"
    r"(?:com|org|net|io|dev|app|shop|info|eu|de|fr|es|it|nl|uk|ie|us|ca|au|cn|jp|in|br|gov|edu)\b(?:/[^\s<>\"'，。！？；）]{0,2000})?)",
    re.IGNORECASE,
)
_SEVEN_DIGITS = re.compile(r"(?:\d[^\dA-Za-z]{0,4}){6}\d")
_PHONE_TRIES = 10
_LENGTHS = {
    "second": 1,
    "sec": 1,
    "minute": 60,
    "min": 60,
    "hour": 3600,
    "hr": 3600,
    "h": 3600,
    "day": 86_400,
    "week": 604_800,
    "month": 2_592_000,
    "year": 31_536_000,
    "fortnight": 1_209_600,
    "秒": 1,
    "分": 60,
    "小": 3600,
    "钟": 3600,
    "天": 86_400,
    "周": 604_800,
    "星": 604_800,
    "礼": 604_800,
    "月": 2_592_000,
    "年": 31_536_000,
}
_DURATION = re.compile(
    rf"(?<![\w.,/-])(?:(?P<half>half\ an?)|(?P<n>{DIGITS}|{SPELLED})(?P<plus>\ and\ a\ half)?)[\ -]?"
    r"(?P<u>second|sec|minute|min|hour|hr|h|day|week|fortnight|month|year)s?\b"
    rf"|(?P<zn>\d{{1,4}}|{HAN}|半)(?:个|個)?(?P<zu>秒钟|秒|分钟|小时|钟头|天|周|星期|礼拜|月|年)(?!前|后|後|[\d一二三四五六七八九十]{{1,3}}[日号])",
    re.IGNORECASE,
)
_JOIN = re.compile(r",?\ *(?:and\ +)?", re.IGNORECASE)


def _numbers(text: str, now: float, where: Locality) -> Found:
    return ((item.value, item.start, item.end) for item in numbers(text, where.language))


def _money(text: str, now: float, where: Locality) -> Found:
    for match in _MONEY.finditer(text):
        digits = match["a"] or match["b"]
        amount = value_of(digits) if digits else spelled_value(match["c"] or match["d"])
        scale = _SCALES.get((match["s"] or match["t"] or "").strip().lower(), 1)
        yield _plain(amount * scale), *match.span()


def _durations(text: str, now: float, where: Locality) -> Found:
    """Parts right after one another ("2 hours and 30 minutes") are one duration."""
    open_one: tuple[float, int, int] | None = None
    for match in _DURATION.finditer(text):
        seconds, (start, end) = _seconds(match), match.span()
        if open_one and _JOIN.fullmatch(text, open_one[2], start):
            open_one = (open_one[0] + seconds, open_one[1], end)
            continue
        if open_one:
            yield _plain(open_one[0]), *open_one[1:]
        open_one = (seconds, start, end)
    if open_one:
        yield _plain(open_one[0]), *open_one[1:]


def _seconds(match: re.Match[str]) -> float:
    if unit := match["zu"]:
        count = 0.5 if match["zn"] == "半" else spelled_value(match["zn"])
        return count * _LENGTHS[unit[0]]
    count = 0.5 if match["half"] else spelled_value(match["n"]) + (0.5 if match["plus"] else 0)
    return count * _LENGTHS[match["u"].lower()]


def _dates(text: str, now: float, where: Locality) -> Found:
    found = dates(text, local_time(now, where.timezone), where.month_first)
    return ((item.value, item.start, item.end) for item in found)


def _times(text: str, now: float, where: Locality) -> Found:
    return ((item.value, item.start, item.end) for item in times(text))


def _emails(text: str, now: float, where: Locality) -> Found:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield match.group().lower(), *match.span()


def _urls(text: str, now: float, where: Locality) -> Found:
    if "." in text:
        for match in _URL.finditer(text):
            url = match.group().rstrip(".,;:!?)]}'\"")
            yield url, match.start(), match.start() + len(url)


def _phones(text: str, now: float, where: Locality) -> Found:
    if not _SEVEN_DIGITS.search(text):
        return
    import phonenumbers

    matcher = phonenumbers.PhoneNumberMatcher(text, where.country, max_tries=_PHONE_TRIES)
    for match in matcher:
        value = phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164)
        yield value, match.start, match.end


def _plain(value: float) -> int | float:
    return int(value) if float(value).is_integer() else value


_LETTERS = re.compile(r"[^\W\d_]+")
_DIGIT_OR_WIDE = re.compile(r"[\d\u4e00-\u9fff]")
_TRIGGER_WORDS = """
one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion couple few half
quarter noon midday midnight today tonight tomorrow tmrw yesterday week month year monday tuesday wednesday thursday
friday saturday sunday mon tue tues wed thu thur thurs fri sat sun second sec minute min hour hr day fortnight seconds
secs minutes mins hours hrs days weeks months years fortnights dollar buck euro pound quid yuan yen rupee franc
"""
_TRIGGERS = frozenset(_TRIGGER_WORDS.split())
_UNTRIGGERED = ("email", "url")


def _may_hold_values(text: str) -> bool:
    """Whether anything but addresses can be in an English or Chinese text: most messages end here, in microseconds."""
    return bool(_DIGIT_OR_WIDE.search(text)) or not _TRIGGERS.isdisjoint(_LETTERS.findall(text.lower()))


_FINDERS: dict[str, _Finder] = {
    "number": _numbers,
    "money": _money,
    "duration": _durations,
    "date": _dates,
    "time": _times,
    "email": _emails,
    "phone": _phones,
    "url": _urls,
}
BUILT_IN = tuple(_FINDERS)
"""The types of this file."""


@dataclass(frozen=True, slots=True)
class BuiltIns:
    """Finds the given types. The extractor's name is the type's name."""

    types: tuple[str, ...]
    where: Locality = field(default_factory=Locality)

    def __post_init__(self) -> None:
        """Refuse unknown types."""
        unknown = [kind for kind in self.types if kind not in _FINDERS]
        if unknown:
            raise SettingsError(f"entities: expected types of {', '.join(BUILT_IN)}, found {', '.join(unknown)}")

    def warm_up(self) -> None:
        """Load what the first date would have to wait for; may be called from any thread."""
        if "date" in self.types:
            warm_up()

    def find(self, text: str, now: float) -> list[Entity]:
        """All entities of the types, overlaps and all. `now` is seconds since 1970 UTC."""
        text = text[:MAX_TEXT]
        return [entity for kind in self._worth_a_look(text) for entity in self._of(kind, text, now)]

    def day(self, text: str, now: float) -> date | None:
        """The users' day, if what `find` gives depends on it, as dates do; None if that is the same at any time."""
        dated = "date" in self.types and "date" in self._worth_a_look(text[:MAX_TEXT])
        return local_time(now, self.where.timezone).date() if dated else None

    def _worth_a_look(self, text: str) -> tuple[str, ...]:
        """The types that may be in the text."""
        if self.where.language[:2] not in ("en", "zh") or _may_hold_values(text):
            return self.types
        return tuple(kind for kind in self.types if kind in _UNTRIGGERED)

    def _of(self, kind: str, text: str, now: float) -> Iterable[Entity]:
        make = partial(spanned, text, kind)
        found = _FINDERS[kind](text, now, self.where)
        return (
            make(value, (start, end), kind) for (value, start, end), _ in zip(found, range(MAX_FOUND), strict=False)
        )
