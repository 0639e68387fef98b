"""The parts of a sentence that are written otherwise than said, each found by a pattern and said by a rule.

The patterns are tried in order at each place; what one refuses (a date with 45 days) falls to the plain numbers. No
digit is ever left out: what no rule knows is said digit by digit.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from skills.speakable_numbers import (
    MOST_DIGITS,
    cardinal,
    digit_by_digit,
    in_groups,
    ordinal,
    spelled,
    year,
)
from skills.speakable_tongues import CURRENCIES, TONGUES, Tongue

Rule = Callable[[re.Match[str], Tongue], str | None]
_FEW_DIGITS = 4
_ACRONYM = 4
"""Capitals of a code that are said one by one; longer ones are a word."""
_AFTER = {"en": r"order|number|ticket|invoice|code|pin|id|account", "zh": "订单号?|编号|单号|号码|验证码|密码"}
_AFTER["de"] = r"bestellnummer|bestellung|nummer|auftrag|kundennummer|rechnung|code|pin|kennung"
_PHONE = (
    r"(?<![\w+])(?:\+|\(0|0)[\d ()/-]{5,22}\d(?![\w-])"
    r"|(?<![\w-])(?:\d{3,4}-\d{3,4}-\d{3,4}|\d{3}-\d{4})(?![\w-])"
)
_COUNTED = re.compile(r"[个天件条只份次位张块台双瓶种家]|小时|分钟")
_NOUN = re.compile(r" ([A-ZÄÖÜ][a-zäöüß]+)")
_DATIVE = re.compile(r"\b(?:am|vom|zum|dem|den|bis|ab|seit|beim|im|des|der)\s+$", re.IGNORECASE)


def said(text: str, language: str) -> str:
    """The text in words, for a language of `TONGUES`."""
    tongue, (pattern, rules) = TONGUES[language], _compiled(language)

    def say(match: re.Match[str]) -> str:
        name = match.lastgroup or ""
        found = rules[name](match, tongue)
        return _digits_only(match[0], tongue) if found is None else found

    return " ".join(pattern.sub(say, text).split())


@cache
def _compiled(language: str) -> tuple[re.Pattern[str], dict[str, Rule]]:
    tongue = TONGUES[language]
    patterns = _patterns(tongue)
    joined = "|".join(f"(?P<{name}>{pattern})" for name, (pattern, _) in patterns.items())
    return re.compile(joined, re.ASCII), {name: rule for name, (_, rule) in patterns.items()}


def _patterns(tongue: Tongue) -> dict[str, tuple[str, Rule]]:
    number = _number_pattern(tongue)
    money = "|".join([*map(re.escape, CURRENCIES), *tongue.money])
    units = "|".join(re.escape(unit) for unit in sorted(tongue.units, key=len, reverse=True))
    scales = "|".join(re.escape(scale) for scale in tongue.scales)
    months = "|".join(f"{name}|{name[:3]}" if tongue.code == "en" else name for name in tongue.months)
    named = {
        "en": rf"\b(?:(?:{months})\.? \d{{1,2}}(?:st|nd|rd|th)?|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?(?:{months}))\b"
        r"(?:,? \d{4}\b)?",
        "de": rf"\b\d{{1,2}}\. ?(?:{months})\b(?: \d{{4}}\b)?",
        "zh": r"\d{4}(?=年)",
    }[tongue.code]
    shortened = "|".join(map(re.escape, sorted(tongue.shortened, key=len, reverse=True)))
    return {
        **({"shortened": (rf"(?<!\w)(?:{shortened})(?!\w)", _shortened)} if shortened else {}),
        "email": (r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}", _address),
        "url": (r"(?:https?://|www\.)[^\s<>,;，。；）]{1,1000}", _address),
        "host": (r"(?<![\w.-])(?:[a-z][a-z0-9-]{0,62}\.){1,4}[a-z]{2,10}(?:/[\w./?=&%~-]{0,200})?(?!\w)", _address),
        "iso": (r"(?<![\w-])\d{4}-\d{2}-\d{2}(?![\w-])", _iso_date),
        "named": (named, _named_date),
        "dotted": (r"(?<![\w.])\d{1,2}\.\d{1,2}\.(?:\d{4}|\d{2}(?!\d))?(?!\d)", _dotted_date),
        "slashed": (r"(?<![\w/])\d{1,2}/\d{1,2}/\d{4}(?![\w/])", _slashed_date),
        "phone": (_PHONE, _phone),
        "clock": (r"(?<![\w:.])\d{1,2}:\d{2}(?::\d{2})?(?![\d:])(?: ?Uhr\b| ?[ap]\.?m\b\.?)?", _clock),
        "hour": (r"(?<![\w:.,])\d{1,2} ?(?:Uhr\b|[ap]\.?m\b\.?)", _hour),
        "price": (
            rf"(?<![\w.])[-−]?(?:{money}) ?{number}(?: (?:{scales})\b)?|(?<![\w.])[-−]?{number}"
            rf"(?: (?:{scales}))? ?(?:{money})(?![A-Za-z])",
            _price,
        ),
        "after": (rf"(?i:(?:{_AFTER[tongue.code]})\W{{0,3}}(?:(?:is|ist|lautet|是|为)\W)?\W?)\d{{4,}}(?!\w)", _after),
        "hashed": (r"#\d+(?!\w)", _hashed),
        "ordinal": (r"(?<!\w)\d{1,4}(?:st|nd|rd|th)\b" if tongue.code == "en" else r"(?!)", _ordinal),
        "decade": (r"(?<!\w)\d{3}0s\b" if tongue.code == "en" else r"(?!)", _decade),
        "unit": (rf"(?<![\w.])[-−]?{number} ?(?:{units}|%)(?![\w²³])", _unit),
        "code": (
            r"(?<![A-Za-z0-9])(?=[A-Za-z0-9_-]{0,40}\d)(?=[A-Za-z0-9_-]{0,40}[A-Za-z])[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*",
            _code,
        ),
        "version": (r"(?<![\w.])\d+(?:\.\d+){2,}", _version),
        "fraction": (r"(?<![\w/])\d{1,4}/\d{1,4}(?![\w/])", _fraction),
        "number": (rf"(?:(?<=[\s(])|^)[-−]{number}|{number}", _number),
        "range": (r"(?<=[\d%€$£]) ?[-–—] ?(?=[€$£]?\d)", _range),
        "times": (r"(?<=[\d ])[x×](?=[ \d])", _times),
        "sign": (r"[%&=<>#§°×~≈≤≥½¼¾@€$£¥￥]|(?<=[\d ])\+(?=[\d ])|(?<=\d)[+/](?=\d)", _sign),
        "digits": (r"\d+", _digits),
    }


def _number_pattern(tongue: Tongue) -> str:
    if tongue.decimal == ",":
        return r"(?:\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d+(?:,\d+|\.\d{1,2})?)(?!\d)"
    return r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?!\d)"


def _plain_number(text: str, tongue: Tongue) -> str:
    """A number as it was written, as digits with at most one full stop."""
    if tongue.decimal == ",":
        grouped = re.fullmatch(r"\d{1,3}(?:\.\d{3})+(?:,\d+)?", text)
        return (text.replace(".", "") if grouped else text).replace(",", ".")
    return text.replace(",", "")


def _find_number(text: str, tongue: Tongue) -> str:
    found = re.search(_number_pattern(tongue), text)
    return _plain_number(found[0], tongue) if found else ""


def _negative(text: str, tongue: Tongue, said: str) -> str:
    return f"{tongue.signs['minus']}{tongue.space}{said}" if text[:1] in "-−" else said


def _sayable(number: str) -> bool:
    return len(number.partition(".")[0]) <= MOST_DIGITS


def _digits_only(text: str, tongue: Tongue) -> str:
    """What no rule knew: its digits by name, the rest as it is."""
    return re.sub(r"\d+", lambda match: f" {digit_by_digit(match[0], tongue.code)} ", text).strip()


def _shortened(match: re.Match[str], tongue: Tongue) -> str:
    ends = match.end() == len(match.string)
    return tongue.shortened[match[0]] + ("." if ends else "")


def _address(match: re.Match[str], tongue: Tongue) -> str:
    text = re.sub(r"^(?:https?://)?", "", match[0])
    tail = text[len(text.rstrip(".!?:)")) :]
    names = {
        ".": "dot",
        "@": "at",
        "/": "slash",
        "-": "dash",
        "_": "underscore",
        "?": "?",
        "=": "=",
        "&": "&",
        ":": ":",
    }
    names |= {"+": "+", "~": "~", "%": "%", "#": "#"}
    parts = re.findall(r"[^\W\d_]+|\d+|.", text[: len(text) - len(tail)])
    words = (
        digit_by_digit(part, tongue.code) if part.isdecimal() else tongue.signs.get(names.get(part, ""), part)
        for part in parts
    )
    return " ".join(words) + tail.rstrip(":)")[:1]


def _iso_date(match: re.Match[str], tongue: Tongue) -> str | None:
    of, month, day = map(int, match[0].split("-"))
    return tongue.date(day, month, of) if _is_date(day, month) and of else None


def _is_date(day: int, month: int) -> bool:
    return 1 <= day <= 31 and 1 <= month <= 12


def _named_date(match: re.Match[str], tongue: Tongue) -> str | None:
    if tongue.code == "zh":
        return year(int(match[0]), "zh")
    numbers = re.findall(r"\d+", match[0])
    month = next(name for name in tongue.months if re.search(rf"\b{name[:3]}", match[0]))
    if not _is_date(int(numbers[0]), 1):
        return None
    of = int(numbers[1]) if len(numbers) > 1 else None
    if tongue.code == "de":
        return _german_case(match, tongue.date(int(numbers[0]), tongue.months.index(month) + 1, of))
    day = ordinal(int(numbers[0]), "en")
    named = f"{day} {'of ' if ' of ' in match[0] else ''}{month}" if match[0][0].isdecimal() else f"{month} {day}"
    return named + (f", {year(of, 'en')}" if of else "")


def _german_case(match: re.Match[str], said: str) -> str:
    """ "am dritten", "der dritte", "dritter"."""
    before = _DATIVE.search(match.string, max(match.start() - 8, 0), match.start())
    day, _, rest = said.partition(" ")
    if before is None:
        return said
    return f"{day.removesuffix('r')}{'' if before[0].strip().lower() == 'der' else 'n'} {rest}"


def _dotted_date(match: re.Match[str], tongue: Tongue) -> str | None:
    day, month, of = (int(part) if part else None for part in match[0].split("."))
    if day is None or month is None or not _is_date(day, month) or (of is None and tongue.code != "de"):
        return None
    if of is not None and of < 100:
        of += 2000
    said = tongue.date(day, month, of)
    return _german_case(match, said) if tongue.code == "de" else said


def _slashed_date(match: re.Match[str], tongue: Tongue) -> str | None:
    """The month is only told if the other number cannot be one; else the numbers are said as they stand."""
    first, second, of = map(int, match[0].split("/"))
    for day, month in ((first, second), (second, first)):
        if day > 12 and _is_date(day, month):
            return tongue.date(day, month, of)
    return ", ".join([cardinal(first, tongue.code), cardinal(second, tongue.code), year(of, tongue.code)])


def _phone(match: re.Match[str], tongue: Tongue) -> str | None:
    groups = re.findall(r"\d+", match[0])
    if sum(map(len, groups)) < 7:
        return None
    said = ", ".join(in_groups(group, tongue.code) for group in groups)
    return f"{tongue.signs['plus']} {said}" if match[0].startswith("+") else said


def _clock(match: re.Match[str], tongue: Tongue) -> str | None:
    hour, minute, *seconds = map(int, re.findall(r"\d+", match[0]))
    if hour > 24 or minute > 59 or (seconds and seconds[0] > 59):
        return None
    said = tongue.clock(hour, minute)
    if half := _half_of_day(match[0]):
        said = f"{said.removesuffix(chr(39).join((' o', 'clock')))} {half}"
    return said + (f"{tongue.space}{tongue.count(str(seconds[0]), tongue.units['s'])}" if seconds else "")


def _half_of_day(text: str) -> str:
    found = re.search(r"([ap])\.?m\.?$", text)
    return f"{found[1]}.m." if found else ""


def _hour(match: re.Match[str], tongue: Tongue) -> str | None:
    hour = int(re.match(r"\d+", match[0])[0])  # type: ignore[index]  # the pattern begins with a digit
    if half := _half_of_day(match[0]):
        return f"{cardinal(hour, tongue.code)} {half}"
    return tongue.clock(hour, 0) if hour <= 24 and tongue.code == "de" else None


def _price(match: re.Match[str], tongue: Tongue) -> str | None:
    text = match[0]
    sign = next(name for name in (*CURRENCIES, *tongue.money) if name in text)
    number = _find_number(text, tongue)
    if not _sayable(number):
        return None
    scale = next((name for name in tongue.scales if re.search(rf"\d {re.escape(name)}", text)), "")
    currency = CURRENCIES.get(sign, sign)
    if scale:
        large = tongue.shortened.get(scale, scale)
        return _negative(text, tongue, f"{tongue.number(number)} {large} {tongue.money[currency][0][1]}")
    return _negative(text, tongue, tongue.price(number, currency))


def _after(match: re.Match[str], tongue: Tongue) -> str:
    words, number = re.fullmatch(r"(.*?)(\d+)", match[0], re.DOTALL).groups()  # type: ignore[union-attr]  # it ends so
    code = in_groups(number, tongue.code) if _looks_like_id(number) or len(number) == _FEW_DIGITS else ""
    return f"{words.replace('#', '').rstrip()}{tongue.space}{code or tongue.number(number)}"


def _hashed(match: re.Match[str], tongue: Tongue) -> str:
    return f"{tongue.signs['#']}{tongue.space}{in_groups(match[0][1:], tongue.code)}"


def _ordinal(match: re.Match[str], tongue: Tongue) -> str | None:
    number = int(match[0][:-2])
    return ordinal(number, tongue.code) if number else None


def _decade(match: re.Match[str], tongue: Tongue) -> str:
    said = year(int(match[0][:-1]), tongue.code)
    return said.removesuffix("y") + "ies" if said.endswith("y") else said + "s"


def _unit(match: re.Match[str], tongue: Tongue) -> str | None:
    text = match[0]
    number = _find_number(text, tongue)
    unit = re.sub(r"^[-−]?[\d.,]+ ?", "", text)
    if not _sayable(number):
        return None
    if unit != "%":
        return _negative(text, tongue, tongue.count(number, tongue.units[unit]))
    percent = tongue.signs["%"]
    if tongue.code == "zh":
        return _negative(text, tongue, f"{percent}{tongue.number(number)}")
    return _negative(text, tongue, f"{tongue.number(number)} {percent}")


def _code(match: re.Match[str], tongue: Tongue) -> str:
    """An order id, a model, "B2B": capitals and digits one by one, words as words, a pause where it has a dash."""
    parts = re.split(r"[_-]", match[0])
    words = [
        " ".join(_code_run(run, tongue, len(parts)) for run in re.findall(r"[A-Za-z]+|\d+", part)) for part in parts
    ]
    joined = words[0]
    for part, word in zip(parts[1:], words[1:], strict=True):
        joined += (" " if len(part) > 1 and part.isalpha() and part.islower() else ", ") + word
    return joined


def _code_run(run: str, tongue: Tongue, parts: int) -> str:
    if run.isalpha():
        return spelled(run, tongue.code) if run.isupper() and len(run) <= _ACRONYM else run
    if len(run) <= 2 and not run.startswith("0"):
        return cardinal(int(run), tongue.code)
    return in_groups(run, tongue.code)


def _version(match: re.Match[str], tongue: Tongue) -> str:
    point = tongue.signs["dot"]
    return f" {point} ".join(_short(part, tongue) for part in match[0].split("."))


def _short(digits: str, tongue: Tongue) -> str:
    if len(digits) > _FEW_DIGITS or (digits.startswith("0") and len(digits) > 1):
        return in_groups(digits, tongue.code)
    return cardinal(int(digits), tongue.code)


def _fraction(match: re.Match[str], tongue: Tongue) -> str:
    upper, lower = match[0].split("/")
    if (upper, lower) == ("1", "2"):
        return tongue.signs["½"]
    return f"{_short(upper, tongue)} {tongue.signs['over']} {_short(lower, tongue)}"


def _number(match: re.Match[str], tongue: Tongue) -> str:
    """A number of five digits and more that is written without groups is most likely an id, unless it is round."""
    written = match[0].lstrip("-−")
    number = _plain_number(written, tongue)
    whole, _, rest = number.partition(".")
    bare = written.isdecimal()
    if len(whole) > MOST_DIGITS or (bare and (_looks_like_id(whole))):
        said = in_groups(whole, tongue.code)
        return _negative(
            match[0], tongue, said + (f" {tongue.signs['point']} {digit_by_digit(rest, tongue.code)}" if rest else "")
        )
    behind = match.string[match.end() : match.end() + 40]
    if bare and len(whole) == 4 and tongue.code != "zh" and 1900 <= int(whole) <= 2099:
        return _negative(match[0], tongue, year(int(whole), tongue.code))
    if number == "2" and tongue.code == "zh" and _COUNTED.match(behind):
        return "两"
    if number == "1" and tongue.code == "de" and (noun := _NOUN.match(behind)):
        return tongue.one(noun[1])
    return _negative(match[0], tongue, tongue.number(number))


def _looks_like_id(digits: str) -> bool:
    return (len(digits) > _FEW_DIGITS and not digits.endswith("000")) or (digits.startswith("0") and len(digits) > 1)


def _range(match: re.Match[str], tongue: Tongue) -> str:
    return f"{tongue.space}{tongue.signs['to']}{tongue.space}"


def _times(match: re.Match[str], tongue: Tongue) -> str:
    return f"{tongue.space}{tongue.signs['×']}{tongue.space}"


def _sign(match: re.Match[str], tongue: Tongue) -> str:
    sign = match[0]
    money = tongue.money[CURRENCIES[sign]][0][1] if sign in CURRENCIES else ""
    name = money or tongue.signs["over" if sign == "/" else sign]
    return f" {name} " if tongue.space else name


def _digits(match: re.Match[str], tongue: Tongue) -> str:
    return f" {in_groups(match[0], tongue.code)} "
