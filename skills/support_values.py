"""Numbers with their units and bounds, in English, German and Chinese, however they are written.

A worded answer may write "thirty days" for "30 days" and "4,90 €" for "€4.90"; it may not write €490, 30 weeks or "from
30 days". So numbers are brought to one form, each keeps the unit that follows it and the word that bounds it, and all
three must agree with a number of the sources. Where a writing can be read in two ways (1.500), only the same writing
agrees.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from skills.support_words import is_light, stem

_UNITS = {
    "day": "days?|nights?|tage?n?|天|日",
    "week": "weeks?|wochen?|周|星期|礼拜",
    "month": "months?|monate?n?|月",
    "year": "years?|jahre?n?|年",
    "hour": "hours?|hrs?|stunden?|uhr|o'clock|小时|钟头|点",
    "minute": "minutes?|mins?|minuten?|分钟",
    "second": "seconds?|secs?|sekunden?|秒",
    "percent": "%|percent|per cent|prozent",
    "euro": "€|euros?|eur|欧元|欧",
    "dollar": r"\$|dollars?|usd|美元",
    "pound": "£|pounds?|gbp|pfund|英镑",
    "yuan": "¥|yuan|rmb|元|块",
    "cent": "cents?",
    "g": "g|grams?|gramm|克",
    "kg": "kg|kilos?|kilograms?|kilogramm|公斤|千克",
    "mg": "mg|毫克",
    "l": "l|lit(?:re|er)s?|升",
    "ml": "ml|毫升",
    "mm": "mm|毫米",
    "cm": "cm|centimet(?:re|er)s?|厘米",
    "m": "m|met(?:re|er)s?|米",
    "km": "km|kilomet(?:re|er)s?|公里",
    "watt": "w|watts?|瓦",
    "volt": "v|volts?|伏",
    "degree": "°c|°|degrees?(?: celsius)?|grad|度",
}
_MONTHS = (
    "jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|märz|apr(?:il)?|may|mai|june?|juni|july?|juli|aug(?:ust)?"
    "|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?"
)
_SMALL = {
    **dict.fromkeys(("zero", "null"), 0),
    **dict.fromkeys(("one", "ein", "eine", "einen", "einem", "einer", "eines", "eins", "a", "an"), 1),
    **dict.fromkeys(("two", "zwei"), 2),
    **dict.fromkeys(("three", "drei"), 3),
    **dict.fromkeys(("four", "vier"), 4),
    **dict.fromkeys(("five", "fünf"), 5),
    **dict.fromkeys(("six", "sechs"), 6),
    **dict.fromkeys(("seven", "sieben"), 7),
    **dict.fromkeys(("eight", "acht"), 8),
    **dict.fromkeys(("nine", "neun"), 9),
    **dict.fromkeys(("ten", "zehn"), 10),
    **dict.fromkeys(("eleven", "elf"), 11),
    **dict.fromkeys(("twelve", "zwölf", "dozen", "dutzend"), 12),
    **dict.fromkeys(("thirteen", "dreizehn"), 13),
    **dict.fromkeys(("fourteen", "vierzehn", "fortnight"), 14),
    **dict.fromkeys(("fifteen", "fünfzehn"), 15),
    **dict.fromkeys(("sixteen", "sechzehn"), 16),
    **dict.fromkeys(("seventeen", "siebzehn"), 17),
    **dict.fromkeys(("eighteen", "achtzehn"), 18),
    **dict.fromkeys(("nineteen", "neunzehn"), 19),
}
_TENS = {
    **dict.fromkeys(("twenty", "zwanzig"), 20),
    **dict.fromkeys(("thirty", "dreißig", "dreissig"), 30),
    **dict.fromkeys(("forty", "vierzig"), 40),
    **dict.fromkeys(("fifty", "fünfzig"), 50),
    **dict.fromkeys(("sixty", "sechzig"), 60),
    **dict.fromkeys(("seventy", "siebzig"), 70),
    **dict.fromkeys(("eighty", "achtzig"), 80),
    **dict.fromkeys(("ninety", "neunzig"), 90),
}
_GREAT = {**dict.fromkeys(("hundred", "hundert"), 100), **dict.fromkeys(("thousand", "tausend"), 1000)}
_ARTICLES = frozenset({"a", "an", "one", "ein", "eine", "einen", "einem", "einer", "eines"})
_EACH = "each|every|per|pro|jede[nmrs]?"
_HAN = {
    sign: value
    for value, signs in enumerate(("零〇", "一", "二两", "三", "四", "五", "六", "七", "八", "九"))
    for sign in signs
}
_HAN_GREAT = {"十": 10, "百": 100, "千": 1000, "万": 10000}
_HAN_MEASURE = "个|次|件|杯|包|号|倍|折|成|张|台|只|条|种|人|岁|楼|层|位|款|字"

_WORD = "|".join(sorted((*_SMALL, *_TENS, *_GREAT, *_EACH.split("|")), key=len, reverse=True))
_HALF = re.compile(r"(?:half(?: an?)?|(?:an? )?half|(?:ein(?:e[nmrs]?)? )?halbe?[nmrs]?)", re.IGNORECASE)
_LETTER = "[A-Za-zÄÖÜäöüß]"
_HAN_UNITS = "|".join(part for words in _UNITS.values() for part in words.split("|") if not part[-1].isascii())


def _whole(words: str) -> str:
    """Alternatives, those in letters as whole words."""
    return "|".join(f"{part}(?!{_LETTER})" if part[-1].isascii() else part for part in words.split("|"))


_UNIT = re.compile("|".join(f"(?P<{name}>{_whole(words)})" for name, words in _UNITS.items()), re.IGNORECASE)
_NUMBER = re.compile(
    rf"(?P<digits>\d+(?:[.,:/]\d+)*)(?P<half>\s?(?:am|pm|a\.m\.|p\.m\.)(?![a-z]))?"
    rf"|(?<!{_LETTER})(?P<word>{_HALF.pattern}|(?:{_WORD})(?:(?:[ -]|und|(?<=hundred)\sand\s)?(?:{_WORD}))*)"
    rf"(?!{_LETTER})"
    rf"|(?P<han>[{''.join(_HAN)}{''.join(_HAN_GREAT)}]+|半)(?=\s?(?:{_HAN_MEASURE})?\s?(?:多)?\s?"
    rf"(?:{_HAN_UNITS}|{_HAN_MEASURE}))",
    re.IGNORECASE,
)
_SKIP = re.compile(
    r"[\s-]*(?:(?:working|business|calendar|full|whole|more|other|werk|arbeits|geschäfts|个|多|工作)[\s-]*)*", re.I
)
_SIGNS = {"€": "euro", "$": "dollar", "£": "pound", "¥": "yuan"}
_SIGN = re.compile(r"([€$£¥])\s?$")
_JOINS = re.compile(r"\s*(?:to|or|and|bis|oder|und|[-–—~/]|到|至)\s*$", re.IGNORECASE)
_EARLY = (
    r"before|until|till|by|within|up to|at most|under|below|less than|fewer than|no more than|no later than|maximum of"
    r"|vor|bis|bis zu|innerhalb von|innerhalb|binnen|unter|höchstens|maximal|weniger als|spätestens"
)
_LATE = (
    r"after|from|since|over|above|more than|at least|no less than|minimum of|beyond|past"
    r"|nach|ab|seit|über|mehr als|mindestens"
)
_BOUND = re.compile(
    rf"(?:(?<![A-Za-zÄÖÜäöüß])(?:(?P<early>{_EARLY})|(?P<late>{_LATE}))"
    rf"|(?P<early_han>不超过|最多|至多|少于|低于)|(?P<late_han>超过|至少|最少|多于|高于|满))"
    r"(?:\s(?:the|about|around|a|an|of|etwa|rund))*\s*$",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"\s*(?:工作)?[^\s，。,.;；]{0,3}?(?:(?P<early>以内|之内|内|以前|之前|前)|(?P<late>以后|之后|后|以上|起))"
)


class Amount(NamedTuple):
    """A number in a text: `number` in one form, `units` that it may have, `bound` "early", "late" or "", as written.

    `after` are the stems of the words that follow: what is counted, if it is no unit.
    """

    number: str
    units: frozenset[str]
    bound: str
    written: str
    after: tuple[str, ...] = ()


def amounts(text: str) -> list[Amount]:
    """All numbers of a text. A number without a unit may have any unit of the sentence's other numbers."""
    found = stated(text)
    known = frozenset[str]().union(*(amount.units for amount in found))
    return [amount if amount.units else amount._replace(units=known | {""}) for amount in found]


@lru_cache(maxsize=2048)
def stated(text: str) -> tuple[Amount, ...]:
    """The numbers that a text claims: units are those written beside them."""
    return tuple(_read(unicodedata.normalize("NFKC", text)))


def unknown(claimed: Amount, held: Sequence[Amount]) -> bool:
    """Whether no number of the sources agrees with a claimed one."""
    same = [amount for amount in held if amount.number == claimed.number]
    if claimed.units:
        same = [amount for amount in same if claimed.units & amount.units]
    elif claimed.after[:1] and claimed.after[0]:
        same = [amount for amount in same if claimed.after[0] in amount.after]
    if not same:
        return True
    opposite = {"early": "late", "late": "early"}.get(claimed.bound)
    return opposite is not None and all(amount.bound == opposite for amount in same)


def is_number(word: str) -> bool:
    """Whether a word is a number written out."""
    return word in _SMALL or word in _TENS or word in _GREAT or word in _HAN or word in _HAN_GREAT


def canonical(written: str) -> str:
    """A number in digits in one form: no separators of thousands, no needless zeros, times as hours and minutes."""
    if re.fullmatch(r"\d{1,2}:\d\d", written):
        return f"{int(written.split(':')[0])}:{written.split(':')[1]}"
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", written):
        written = written.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}", written):
        written = written.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d+,\d{1,2}", written):
        written = written.replace(",", ".")
    if re.fullmatch(r"\d+\.\d{1,2}", written):
        written = written.rstrip("0").rstrip(".")
    return written.lstrip("0") or "0" if written.isdigit() and len(written) < 5 else written


def _read(text: str) -> Iterator[Amount]:
    open_: list[Amount] = []
    """Numbers that wait for the unit of the number they are joined to: 2 to 4 days."""
    end = 0
    for match in _NUMBER.finditer(text):
        units, after = _units(text, match)
        number = _number(match)
        if number is None or (match["word"] and _bare_article(match["word"]) and not units):
            continue
        if open_ and not _JOINS.fullmatch(text[end : match.start()]):
            yield from open_
            open_ = []
        sign = _SIGN.search(text, 0, match.start())
        start = sign.start() if sign else match.start()
        open_.append(
            Amount(number, units, _bound(text, start, after), text[start:after].strip(), _following(text, after))
        )
        end = after
        if units:
            yield from (waiting if waiting.units else waiting._replace(units=units) for waiting in open_)
            open_ = []
    yield from open_


def _following(text: str, end: int) -> tuple[str, ...]:
    """The stems of the next words of the sentence; "" for one that carries no meaning."""
    spoken = "de" if re.search("[äöüß]", text) else "en"
    found = re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", re.split(r"[.;:!?(]\s|[,。；，]|\d", text[end : end + 60])[0])
    return tuple("" if is_light(word.lower(), spoken) else stem(word, spoken) for word in found[:4])


def _bare_article(word: str) -> bool:
    return (
        word.lower() in _ARTICLES
        or _HALF.fullmatch(word) is not None
        or re.fullmatch(_EACH, word, re.IGNORECASE) is not None
    )


def _units(text: str, match: re.Match[str]) -> tuple[frozenset[str], int]:
    """The unit beside a number, and where the number with its unit ends."""
    if match["half"] or ":" in (match["digits"] or ""):
        return frozenset({"hour"}), match.end()
    if sign := _SIGN.search(text, 0, match.start()):
        return frozenset({_SIGNS[sign[1]]}), match.end()
    start = _SKIP.match(text, match.end())
    at = start.end() if start else match.end()
    if unit_match := _UNIT.match(text, at):
        return frozenset({str(unit_match.lastgroup)}), unit_match.end()
    if month := re.compile(rf"(?:st|nd|rd|th|\.)?(?:\s+of)?\s+({_MONTHS})\b", re.I).match(text, match.end()):
        return frozenset({_month(month[1])}), month.end()
    if month := re.search(rf"\b({_MONTHS})\.?\s+(?:the\s+)?$", text[: match.start()], re.I):
        return frozenset({_month(month[1])}), match.end()
    return frozenset(), match.end()


def _month(name: str) -> str:
    return "month " + name[:3].lower().replace("mai", "may").replace("mär", "mar").replace("okt", "oct").replace(
        "dez", "dec"
    )


def _number(match: re.Match[str]) -> str | None:
    if match["digits"]:
        return _half_day(canonical(match["digits"]), match["half"])
    if match["han"]:
        return _han(match["han"])
    return _words(match["word"])


def _half_day(number: str, half: str | None) -> str:
    """Twelve hours to twenty-four: 2 pm is 14:00."""
    if half is None or not re.fullmatch(r"\d{1,2}(?::\d\d)?", number):
        return number
    hour, _, minutes = number.partition(":")
    late = half.strip().lower().startswith("p")
    return f"{int(hour) % 12 + 12 * late}:{minutes or '00'}"


def _words(word: str) -> str | None:
    if re.fullmatch(_EACH, word, re.IGNORECASE):
        return "1"
    if _HALF.fullmatch(word):
        return "0.5"
    total = part = 0
    for name in re.findall(_WORD, word.lower().replace(" and ", " ")):
        if re.fullmatch(_EACH, name):
            return None
        value = _SMALL.get(name, _TENS.get(name))
        if value is None:
            part = max(part, 1) * _GREAT[name]
            total, part = (total + part, 0) if part >= 1000 else (total, part)
        else:
            part += value
    return str(total + part)


def _han(signs: str) -> str:
    if signs == "半":
        return "0.5"
    if not any(sign in _HAN_GREAT for sign in signs):
        return str(int("".join(str(_HAN[sign]) for sign in signs)))
    total, digit = 0, 0
    for sign in signs:
        if sign in _HAN:
            digit = _HAN[sign]
        else:
            total, digit = total + max(digit, 1) * _HAN_GREAT[sign], 0
    return str(total + digit)


def _bound(text: str, start: int, end: int) -> str:
    if after := _AFTER.match(text, end):
        return str(after.lastgroup)
    before = _BOUND.search(text[:start])
    return str(before.lastgroup).removesuffix("_han") if before else ""
