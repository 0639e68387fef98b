"""Dates and times of day in English and Chinese, and dates in digits, relative to the time of the message.

A pattern finds the words; `dateparser` reads month names and distances ("in 3 days"). Dates in digits, days of the week
and times are read here, because the library reads some of them otherwise than people mean them:

- "friday" and "this friday" are the first Friday from today on (today counts only with "this"); "next friday" is the
  Friday of next week; "last friday" the latest one before today.
- 3/4/2027 is 3 April unless `month_first`; a number over 12 decides by itself.
- Values are ISO: a date is "2027-03-05", a time of day "15:30" (with seconds only if they were said).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from skills.entities_numbers import HAN, SPELLED, han_value, spelled_value

MAX_READ = 8
"""Most dates of a text that the library reads: it needs a millisecond for each."""

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT = {"mon": 0, "tue": 1, "tues": 1, "wed": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6}
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?)"
)
_COUNT = rf"(?:\d{{1,3}}|{SPELLED}|a couple of|a few)"
_UNIT = r"(?:days?|weeks?|months?|years?)"
_DATE = re.compile(
    rf"""(?<![\w/.-])(?:
      (?P<iso>\d{{4}}-\d{{1,2}}-\d{{1,2}})(?=T\d|\b)
    | (?P<digits>\d{{1,2}}([/.-])\d{{1,2}}\3(?:\d{{4}}|\d{{2}}))(?![\w/-])
    | (?P<near>(?:the\ )?day\ (?:after\ tomorrow|before\ yesterday)|today|tonight|tomorrow|tmrw|yesterday)\b
    | (?P<which>(?:next|this|coming|last|past|on)\ +)?(?P<day>{"|".join(_DAYS)})\b
    | (?P<which2>(?:next|this|coming|last|past|on)\ +)(?P<day2>{"|".join(_SHORT)})\b
    | (?P<calendar>{_MONTH}\.?\ +\d{{1,2}}(?:st|nd|rd|th)?\b(?!:)(?:,?\ +(?:19|20)\d\d\b)?
      | (?:the\ )?\d{{1,2}}(?:st|nd|rd|th)?\ +(?:of\ +)?{_MONTH}\b(?:,?\ +(?:19|20)\d\d\b)?)
    | (?P<distance>in\ +{_COUNT}\ +{_UNIT}\b(?:\ +time)?|{_COUNT}\ +{_UNIT}\ +(?:ago|from\ (?:now|today))\b
      | (?:next|last)\ +(?:week|month|year)\b)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_HAN_DATE = re.compile(
    rf"""(?P<near>大后天|后天|後天|明天|明日|今天|今日|今晚|明晚|昨天|昨日|前天)
    | (?:(?P<year>\d{{4}}|[零〇一二三四五六七八九]{{4}})年)?
      (?P<month>\d{{1,2}}|{HAN})月(?:份)?(?P<of>\d{{1,2}}|{HAN})[日号號]
    | (?P<which>下下|下|这|這|本|上)?(?:个|個)?(?:周|週|星期|礼拜|禮拜)(?P<day>[一二三四五六日天])
    | (?P<count>\d{{1,3}}|{HAN})(?:个|個)?(?P<unit>天|日|周|週|星期|礼拜|月|年)(?:以|之)?(?P<side>后|後|前)""",
    re.VERBOSE,
)
_TIME = re.compile(
    rf"""(?<![\w:.])(?:
      (?P<h>[01]?\d|2[0-3]):(?P<m>[0-5]\d)(?::(?P<s>[0-5]\d))?(?:\ ?(?P<ap>[ap]\.?m\b\.?))?(?![\w:])
    | (?P<h2>1[0-2]|0?[1-9])\ ?(?P<ap2>[ap]\.?m\b\.?)
    | (?P<h3>\d{{1,2}}|{SPELLED})\ ?o['’]?\ ?clock\b(?:\ (?:in\ the\ (?P<part>morning|afternoon|evening)))?
    | (?P<shift>half|quarter|(?:\d{{1,2}}|five|ten|twenty)(?:\ minutes)?)\ (?P<side>past|to)
      \ (?P<h4>1[0-2]|[1-9]|{SPELLED})\b
    | (?P<word>noon|midday|midnight)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_BARE_HOUR = re.compile(r"\ +at\ +(?P<h>1\d|2[0-3]|[1-9])(?![\w:/.]|\ ?[ap]\.?m\b|\ ?o['’]?\ ?clock)", re.IGNORECASE)
_HAN_TIME = re.compile(
    rf"(?P<part>凌晨|早上|上午|中午|下午|傍晚|晚上|今晚|明晚)?(?P<h>\d{{1,2}}|{HAN})[点點时時](?!间|間)"
    rf"(?:(?P<word>半|一刻|三刻|整|钟|鐘)|(?P<m>\d{{1,2}}|{HAN})分?)?"
)
_HAN_NEAR = {"大": 3, "后": 2, "後": 2, "明": 1, "今": 0, "昨": -1, "前": -2}
_HAN_WEEKS = {"下下": 2, "下": 1, "这": 0, "這": 0, "本": 0, "上": -1}
_LATE = ("下午", "傍晚", "晚上", "今晚", "明晚")


@dataclass(frozen=True, slots=True)
class Moment:
    """A date or a time of day found at these characters; `value` is ISO."""

    value: str
    start: int
    end: int


def local_time(now: float, timezone: str) -> datetime:
    """The wall-clock time of `now` (seconds since 1970 UTC) there, without a zone."""
    return datetime.fromtimestamp(now, ZoneInfo(timezone)).replace(tzinfo=None)


def dates(text: str, now: datetime, month_first: bool = False) -> list[Moment]:
    """The dates of a text, as they were meant at `now`."""
    budget = [MAX_READ]
    found = [(match, _read(match, now, month_first, budget)) for match in _DATE.finditer(text)]
    if not text.isascii():
        found += [(match, _read_han(match, now.date())) for match in _HAN_DATE.finditer(text)]
    return [Moment(day.isoformat(), *match.span()) for match, day in found if day is not None]


def times(text: str) -> list[Moment]:
    """The times of day of a text. An hour with neither minutes nor am/pm counts right after a date only."""
    found = [(match.span(), _clock(match)) for match in _TIME.finditer(text)]
    found += [((match.start("h"), match.end()), f"{int(match['h']):02d}:00") for match in _bare_hours(text)]
    if not text.isascii():
        found += [(match.span(), _han_clock(match)) for match in _HAN_TIME.finditer(text)]
    return [Moment(value, *span) for span, value in found if value]


def _bare_hours(text: str) -> Iterator[re.Match[str]]:
    for day in _DATE.finditer(text):
        match = _BARE_HOUR.match(text, day.end())
        if match:
            yield match


def _read(match: re.Match[str], now: datetime, month_first: bool, budget: list[int]) -> date | None:
    today = now.date()
    if match["iso"]:
        return _date(*(int(part) for part in match["iso"].split("-")))
    if match["digits"]:
        return _from_digits(match["digits"], month_first)
    if match["near"]:
        return today + timedelta(days=_near(match["near"].lower()))
    if day := match["day"] or match["day2"]:
        which = (match["which"] or match["which2"] or "").strip().lower()
        return _weekday(today, _SHORT[day[:3].lower()], which)
    budget[0] -= 1
    return _by_library(match.group().lower(), today) if budget[0] >= 0 else None


def _near(words: str) -> int:
    if "after" in words:
        return 2
    if "before" in words:
        return -2
    return {"to": 0, "tm": 1, "ye": -1}[words[:2]] if words not in ("tomorrow",) else 1


def _weekday(today: date, wanted: int, which: str) -> date:
    ahead = (wanted - today.weekday()) % 7
    if which == "next":
        return today + timedelta(days=7 - today.weekday() + wanted)
    if which in ("last", "past"):
        return today - timedelta(days=(today.weekday() - wanted) % 7 or 7)
    return today + timedelta(days=ahead if which == "this" else ahead or 7)


def _from_digits(text: str, month_first: bool) -> date | None:
    first, second, year = (int(part) for part in re.split(r"[/.-]", text))
    if year < 100:
        year += 2000
    month, day = (first, second) if (month_first and first <= 12) or second > 12 else (second, first)
    return _date(year, month, day)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


_LIBRARY = threading.Lock()
"""The library fills caches of its own while it works, and two threads may come: `warm_up` and the skill."""


@lru_cache(maxsize=512)
def _by_library(text: str, today: date) -> date | None:
    text = (
        text.replace("a couple of", "2").replace("a few", "3").replace("from today", "from now").removesuffix(" time")
    )
    settings = {
        "RELATIVE_BASE": datetime(today.year, today.month, today.day, 12),
        "PREFER_DATES_FROM": "future",
    }
    with _LIBRARY:
        found: datetime | None = _library()(languages=["en"], settings=settings).get_date_data(text).date_obj
    return found.date() if found else None


def _library() -> Callable[..., Any]:
    from dateparser.date import DateDataParser  # takes 0.3 s to import

    parser: Callable[..., Any] = DateDataParser
    return parser


def warm_up() -> None:
    """Load what the first date would have to wait for (0.3 to 0.6 s)."""
    _by_library("in 2 days", date(2026, 1, 1))


def _clock(match: re.Match[str]) -> str | None:
    if word := match["word"]:
        return "00:00" if word.lower() == "midnight" else "12:00"
    if match["shift"]:
        return _shifted(match)
    hour = spelled_value(match["h"] or match["h2"] or match["h3"])
    late = (match["ap"] or match["ap2"] or {"morning": "a"}.get((match["part"] or "morning").lower(), "p")).lower()[:1]
    said = match["ap"] or match["ap2"] or match["part"]
    if said and hour <= 12:
        hour = hour % 12 + (12 if late == "p" else 0)
    if hour > 23:
        return None
    return f"{int(hour):02d}:{match['m'] or '00'}" + (f":{match['s']}" if match["s"] else "")


def _shifted(match: re.Match[str]) -> str | None:
    word = match["shift"].lower().removesuffix(" minutes")
    minutes = {"half": 30, "quarter": 15}.get(word) or int(spelled_value(word))
    hour = int(spelled_value(match["h4"]))
    if minutes > 59 or hour > 12:
        return None
    total = (hour * 60 + (minutes if match["side"].lower() == "past" else -minutes)) % 1440
    return f"{total // 60:02d}:{total % 60:02d}"


def _read_han(match: re.Match[str], today: date) -> date | None:
    if near := match["near"]:
        return today + timedelta(days=_HAN_NEAR[near[0]])
    if match["month"]:
        month, day = _han(match["month"]), _han(match["of"])
        year = _han(match["year"]) if match["year"] else today.year
        found = _date(year, month, day)
        return _date(year + 1, month, day) if found and not match["year"] and found < today else found
    if match["day"]:
        wanted = "一二三四五六日天".index(match["day"]) % 7 if match["day"] != "天" else 6
        if match["which"] is None:
            return _weekday(today, wanted, "this")
        return today + timedelta(days=7 * _HAN_WEEKS[match["which"]] - today.weekday() + wanted)
    count = _han(match["count"]) * (-1 if match["side"] == "前" else 1)
    days = {"天": 1, "日": 1, "月": 30, "年": 365}.get(match["unit"], 7)
    return today + timedelta(days=days * count) if abs(count) < 1000 else None


def _han_clock(match: re.Match[str]) -> str | None:
    hour = _han(match["h"])
    minutes = {"半": 30, "一刻": 15, "三刻": 45}.get(match["word"] or "", 0) or _han(match["m"] or "0")
    part = match["part"] or ""
    if (part in _LATE and hour < 12) or (part == "中午" and hour < 11):
        hour += 12
    return f"{hour:02d}:{minutes:02d}" if hour < 24 and minutes < 60 else None


def _han(text: str) -> int:
    return int(text) if text.isdigit() else han_value(text)
