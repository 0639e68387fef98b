"""Numbers, dates, money, codes and addresses as people say them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence

_ONES: Sequence[str] = re.findall(
    r"\w+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen",
)
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS: Sequence[str] = re.findall(
    r"\w+",
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
    "sixteenth seventeenth eighteenth nineteenth twentieth",
)
_LETTERS = ("a~ay", *"bcdefghijklmnopqrstuvwxyz")
_HOSTS = ("example", "post", "mail", "home", "work", "web", "city", "cloud")
_ENDS = ("com", "net", "org", "de", "co dot uk", "eu")

Lists = Mapping[str, Sequence[str]]


def number(value: int) -> str:
    """A whole number below a million in words."""
    if value < 20:
        return _ONES[value]
    if value < 100:
        rest = value % 10
        return _TENS[value // 10 - 2] + (f" {_ONES[rest]}" if rest else "")
    large, name, unit = (value // 1000, "thousand", 1000) if value >= 1000 else (value // 100, "hundred", 100)
    rest = value % unit
    link = " and " if unit == 100 or 0 < rest < 100 else " "
    return f"{number(large)} {name}" + (f"{link}{number(rest)}" if rest else "")


def ordinal(value: int) -> str:
    """The number of a day in words, 1 to 31."""
    if value <= 20:
        return _ORDINALS[value - 1]
    return "thirtieth" if value == 30 else f"{_TENS[value // 10 - 2]} {_ORDINALS[value % 10 - 1]}"


def digits(dice: random.Random, count: int) -> str:
    """So many digits, one by one; now and then two equal ones as "double", and nought as "oh"."""
    found = [dice.randrange(10) for _ in range(count)]
    nought = dice.choice(("zero", "zero", "oh"))
    said: list[str] = []
    while found:
        first = found.pop(0)
        name = nought if first == 0 else _ONES[first]
        if found and found[0] == first and dice.random() < 0.5:
            found.pop(0)
            name = f"double {name}"
        said.append(name)
    return " ".join(said)


def _order(dice: random.Random) -> str:
    way = dice.random()
    if way < 0.75:
        return digits(dice, dice.choice((5, 5, 5, 4, 6)))
    if way < 0.9:
        return f"{number(dice.randrange(10, 100))} {number(dice.randrange(10, 100))} {_ONES[dice.randrange(1, 10)]}"
    return number(dice.randrange(10_000, 100_000))


def _money(dice: random.Random) -> str:
    whole, coin = dice.randrange(1, 200), dice.choice(("euros", "euros", "pounds", "dollars"))
    if dice.random() < 0.5:
        return f"{number(whole)} {coin}"
    cents = number(dice.choice((99, 95, 90, 50, 49, 20, 10, dice.randrange(10, 100))))
    return dice.choice((f"{number(whole)} {coin} {cents}", f"{number(whole)} {coin} and {cents} cents"))


def _date(dice: random.Random, lists: Lists) -> str:
    day, month = ordinal(dice.randrange(1, 32)), dice.choice(lists["months"])
    return dice.choice((f"the {day} of {month}", f"{month} {day}", f"{month} the {day}", f"{day} of {month}"))


def _clock(dice: random.Random) -> str:
    hour = number(dice.randrange(1, 13))
    minutes = number(dice.choice((5, 10, 15, 20, 25, 30, 40, 45, 50)))
    half = f"half past {hour}", f"a quarter past {hour}", f"a quarter to {hour}"
    return dice.choice((f"{hour} o'clock", f"{hour} in the morning", f"{hour} p m", f"{hour} {minutes}", *half))


def _email(dice: random.Random, lists: Lists) -> str:
    name = dice.choice(lists["names"])
    link = dice.choice((" dot ", " dot ", " underscore ", " "))
    user = f"{name}{link}{dice.choice(lists['surnames'])}" if dice.random() < 0.6 else f"{name} {digits(dice, 2)}"
    return f"{user} at {dice.choice(_HOSTS)} dot {dice.choice(_ENDS)}"


def _phone(dice: random.Random) -> str:
    return " ".join(digits(dice, count) for count in dice.choice(((4, 3, 3), (3, 4), (4, 6), (5, 3))))


def _year(dice: random.Random) -> str:
    old = f"nineteen {number(dice.randrange(30, 100))}"
    return dice.choice(
        (old, f"two thousand and {number(dice.randrange(1, 20))}", f"twenty {number(dice.randrange(10, 30))}")
    )


Maker = Callable[[random.Random, Lists], str]

MAKERS: Mapping[str, Maker] = {
    "id": lambda dice, _: _order(dice),
    "digits": lambda dice, _: digits(dice, dice.randrange(2, 7)),
    "letters": lambda dice, _: " ".join(dice.choice(_LETTERS) for _ in range(dice.randrange(2, 6))),
    "phone": lambda dice, _: _phone(dice),
    "money": lambda dice, _: _money(dice),
    "date": _date,
    "clock": lambda dice, _: _clock(dice),
    "year": lambda dice, _: _year(dice),
    "email": _email,
    "count": lambda dice, _: number(dice.randrange(2, 13)),
    "number": lambda dice, _: number(dice.choice((dice.randrange(101), dice.randrange(1000)))),
}
"""What makes the values that a grammar names."""
