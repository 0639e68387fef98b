"""Made-up personal data in the forms that people write it in, set into ordinary messages of a shop.

Nothing here is taken from the patterns that are measured with it: phone numbers come from the numbering plans of the
phonenumbers library, card numbers and IBANs are drawn and given right check digits, dates are drawn from the calendar.
Every sample is drawn from a seed and is the same on every machine.
"""

# ruff: noqa: E501, SIM905 - tables of forms read best on one line each

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import phonenumbers

FIRST = (
    "James Mary Robert Patricia John Jennifer Ahmed Fatima Wei Ming Olga Ivan Anna Lars Sofia Mateo Giulia Chloé Zoë "
    "Björn Siobhán Nguyen Priya Arjun Aisha Kwame Yuki Hiroshi Eun-ji Jean-Luc Mohammed Ngozi Chiara Tomasz Agnieszka"
).split()
LAST = (
    "Smith Johnson O'Brien García Müller Rossi Dubois Kowalski Nowak Ivanova Petrov Andersson Nielsen Jensen Haddad "
    "Khan Patel Singh Okafor Mensah Tanaka Sato Kim Park Nguyen Tran Silva Santos Fernández McDonald Lopez-Ruiz Larsen"
).split()
TWO_PART = ("van der Berg", "de la Cruz", "von Trapp", "bin Salman", "dos Santos")
HAN_FAMILY, HAN_GIVEN = (
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗",
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰建国志文",
)
STREETS = (
    "Baker Oak Maple Church Station Victoria King's Mill Elm Cedar Washington Lincoln Highfield Queen Elizabeth"
).split()
KINDS_OF_STREET = ("Street", "St", "Road", "Rd", "Avenue", "Ave", "Lane", "Boulevard", "Blvd")
RARER = ("Drive", "Court", "Way", "Place", "Close", "Square", "Ln", "Dr")
TOWNS = ("London", "Leeds", "Portland", "Springfield", "New York", "Milton Keynes", "Bath")
CARRIERS = (
    "where is my parcel", "I want to return the blue kettle", "the lid of my teapot is broken and it leaks",
    "can you change the address of my order please", "hello there, I have a question about the warranty",
    "please cancel it, I do not need it any more", "how much is shipping to Belgium", "thanks for the quick answer",
    "nobody answered me for 3 days", "I paid twice for 2 mugs, 24.90 each",
)  # fmt: skip
HAN_CARRIERS = ("我的包裹在哪里", "我想退货", "请帮我修改订单", "水壶漏水了怎么办", "谢谢你们", "运费是多少")


@dataclass(frozen=True, slots=True)
class Sample:
    """A message, and where in it (start, end) the value is that has to be found."""

    kind: str
    text: str
    start: int
    end: int


Maker = Callable[[random.Random], str]


def _email(draw: random.Random) -> str:
    first, last = draw.choice(FIRST).lower(), draw.choice(LAST).lower()
    local = draw.choice(
        (f"{first}.{last}", f"{first[0]}{last}", f"{first}_{draw.randint(1, 99)}", f"{first}+shop", f"{last}-{first}")
    )
    host = draw.choice(("gmail.com", "web.de", "my-company.co.uk", "mail.uni.example.edu", "qq.com", "proton.me"))
    mail = f"{local}@{host}"
    return mail.upper() if draw.random() < 0.1 else mail


_ABROAD = ("DE", "FR", "IT", "ES", "NL", "SE", "PL", "IN", "BR", "AU", "JP", "CN", "NG", "ZA", "MX", "CH", "AE", "UA")


def _phone(draw: random.Random) -> str:
    """With the country's prefix from anywhere; without it from where the bot's users live (US, GB)."""
    abroad = draw.random() < 0.6
    while True:
        region = draw.choice(_ABROAD if abroad else ("US", "GB"))
        kind = draw.choice((phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE))
        example = phonenumbers.example_number_for_type(region, kind)
        digits = str(example.national_number)
        cut = len(digits) - 5
        example.national_number = int(digits[:cut] + "".join(draw.choices("0123456789", k=5)))
        if phonenumbers.is_valid_number(example):
            break
    forms = phonenumbers.PhoneNumberFormat
    form = draw.choice((forms.E164, forms.INTERNATIONAL)) if abroad else draw.choice((forms.NATIONAL, forms.E164))
    written = str(phonenumbers.format_number(example, form))
    return draw.choice((written, written.replace("-", " "), written.replace(" ", "-"), written.replace(" ", ".")))


def _card(draw: random.Random) -> str:
    prefix, length = draw.choice(
        (("4", 16), ("51", 16), ("2221", 16), ("34", 15), ("6011", 16), ("62", 16), ("35", 16))
    )
    body = prefix + "".join(draw.choices("0123456789", k=length - len(prefix) - 1))
    total = sum(sum(divmod(int(d) * (2 - n % 2), 10)) for n, d in enumerate(reversed(body)))
    number = body + str(-total % 10)
    cuts = (4, 10) if length == 15 else (4, 8, 12)
    gap = draw.choice(("", " ", "-"))
    parts = [number[a:b] for a, b in zip((0, *cuts), (*cuts, length), strict=True)]
    return gap.join(parts)


_ACCOUNTS = {
    "DE": 18,
    "GB": 18,
    "FR": 23,
    "NL": 14,
    "ES": 20,
    "IT": 23,
    "PL": 24,
    "CH": 17,
    "SE": 20,
    "NO": 11,
    "MT": 27,
    "AE": 19,
}


def _iban(draw: random.Random) -> str:
    country = draw.choice(list(_ACCOUNTS))
    letters = country in ("GB", "FR", "NL", "IT", "MT", "CH")
    body = "".join(draw.choices("0123456789ABCDEFGH" if letters else "0123456789", k=_ACCOUNTS[country]))
    turned = "".join(str(int(char, 36)) for char in f"{body}{country}00")
    iban = f"{country}{98 - int(turned) % 97:02d}{body}"
    grouped = " ".join(iban[n : n + 4] for n in range(0, len(iban), 4))
    return draw.choice((iban, grouped, iban.lower(), grouped.replace(" ", "-")))


def _ip(draw: random.Random) -> str:
    if draw.random() < 0.6:
        return str(ipaddress.IPv4Address(draw.getrandbits(32)))
    address = ipaddress.IPv6Address(draw.getrandbits(128) & (2**128 - 1 - (2**64 - 2**24) * draw.randint(0, 1)))
    return draw.choice((address.compressed, address.exploded, address.compressed.upper()))


def _url(draw: random.Random) -> str:
    host, first = draw.choice(("shop.example.com", "10.1.2.3:8080", "files.example.org")), draw.choice(FIRST).lower()
    secret = "".join(draw.choices("abcdefghijkmnpqrstuvwxyz0123456789", k=12))
    if draw.random() < 0.5:
        return f"{draw.choice(('https', 'http', 'ftp'))}://{first}:{secret}@{host}/orders/{draw.randint(1, 99)}"
    name = draw.choice(("token", "api_key", "session", "access_token", "sig", "password"))
    return f"https://{host}/reset?lang=en&{name}={secret}"


_FORMATS = ("%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d", "%d.%m.%Y", "%d %B %Y", "%B %d, %Y", "%d %b %Y", "%d-%m-%y", "%d.%m.%y")


def _birth(draw: random.Random) -> str:
    day = date(1935, 1, 1) + timedelta(days=draw.randrange(365 * 73))
    return day.strftime(draw.choice(_FORMATS))


def _han_birth(draw: random.Random) -> str:
    day = date(1935, 1, 1) + timedelta(days=draw.randrange(365 * 73))
    return draw.choice(
        (f"{day.year}年{day.month}月{day.day}日", day.isoformat(), f"{day.year}年{day.month}月{day.day}号")
    )


def _address(draw: random.Random) -> str:
    number, street, town = draw.randint(1, 999), draw.choice(STREETS), draw.choice(TOWNS)
    way = f"{number} {street} {draw.choice(KINDS_OF_STREET if draw.random() < 0.7 else RARER)}"
    uk = f"{draw.choice(('SW', 'M', 'LS', 'EC'))}{draw.randint(1, 20)} {draw.randint(1, 9)}{draw.choice(('AA', 'XE', 'QD'))}"
    us = f"{draw.choice(('OR', 'NY', 'IL'))} {draw.randint(10000, 99999)}"
    german = f"{draw.choice(('Haupt', 'Bahnhof', 'Garten', 'Schul'))}{draw.choice(('straße', 'str.', 'weg', 'strasse'))} {draw.randint(1, 120)}"
    french = f"{draw.randint(1, 120)} {draw.choice(('rue', 'avenue', 'boulevard'))} {draw.choice(('de la Paix', 'Victor Hugo', 'du Moulin'))}"
    return draw.choice(
        (
            way,
            f"{way}, {town} {uk}",
            f"{way}, {town}, {us}",
            f"{way}, Apt {draw.randint(1, 40)}, {town}",
            german,
            french,
            f"PO Box {draw.randint(10, 9999)}",
        )
    )


def _han_address(draw: random.Random) -> str:
    road = draw.choice(("建国", "中山", "人民", "南京东", "学院")) + draw.choice(("路", "街", "大道"))
    area = draw.choice(("北京市朝阳区", "上海市浦东新区", "广东省深圳市南山区", "杭州市西湖区", ""))
    house = draw.choice(
        (
            "",
            f"{draw.randint(1, 20)}栋{draw.randint(1, 30)}{draw.randint(10, 40)}室",
            f"{draw.randint(1, 9)}号楼{draw.randint(1, 4)}单元{draw.randint(101, 999)}室",
        )
    )
    return f"{area}{road}{draw.randint(1, 999)}号{house}"


def _name(draw: random.Random) -> str:
    last = draw.choice(LAST) if draw.random() < 0.9 else draw.choice(TWO_PART)
    name = draw.choice(
        (f"{draw.choice(FIRST)} {last}", draw.choice(FIRST), f"{draw.choice(FIRST)} {draw.choice('ABJK')}. {last}")
    )
    return name.lower() if draw.random() < 0.3 and "." not in name else name


def _han_name(draw: random.Random) -> str:
    double = draw.random() < 0.1
    family = draw.choice(("欧阳", "司马", "诸葛")) if double else draw.choice(HAN_FAMILY)
    return family + "".join(draw.sample(HAN_GIVEN, draw.randint(1, 2)))


def _secret(draw: random.Random) -> str:
    return "".join(draw.choices("abcdefghijk", k=4)) + "".join(draw.choices("0123456789!?#", k=4)) + "Z"


def _number(draw: random.Random) -> str:
    digits = "".join(draw.choices("0123456789", k=draw.randint(5, 16)))
    return draw.choice(
        (digits, digits, f"#{digits}", f"KC-{digits[:6]}", f"AB{digits[:7]}C", f"{digits[:5]}-{digits[5:] or '12'}")
    )


CUES = {
    "DOB": ("I was born on {}", "date of birth: {}", "my birthday is {}", "DOB {}", "my date of birth is {}, as you asked"),
    "NAME": (
        "my name is {}", "My name is {} and {carrier}", "this is {} speaking, {carrier}", "name: {}", "call me {}",
        "I am called {}. {carrier}", "kind regards, {}", "{carrier}. Regards, {}", "it's {} here, {carrier}", "my name's {}, {carrier}",
    ),
    "SECRET": ("my password is {}", "pin: {}", "the security code is {}, {carrier}", "password: {}"),
    "ADDRESS": ("deliver it to {}", "my address is {}", "{}", "I live at {}. {carrier}", "{carrier}, I moved to {}"),
}  # fmt: skip
HAN_CUES = {
    "DOB": ("我的生日是{}", "出生日期：{}", "我{}出生", "我生于{}"),
    "NAME": ("我叫{}", "我叫{}，{carrier}", "我的名字是{}", "收件人：{}", "姓名：{}", "{carrier}，我叫{}"),
    "ADDRESS": ("请寄到{}", "我的地址是{}", "我住在{}，{carrier}", "收货地址：{}"),
}
MAKERS: dict[str, Maker] = {
    "EMAIL": _email, "PHONE": _phone, "CARD": _card, "IBAN": _iban, "IP": _ip, "URL": _url, "DOB": _birth,
    "ADDRESS": _address, "NAME": _name, "SECRET": _secret, "NUMBER": _number,
}  # fmt: skip
HAN_MAKERS: dict[str, Maker] = {"DOB": _han_birth, "ADDRESS": _han_address, "NAME": _han_name}
AROUND = ("{}", "{}.", "{},", "({})", '"{}"', ": {}", "{}?", "- {}")
HAN_SHARE = 0.3


def samples(kind: str, count: int, seed: int = 0) -> list[Sample]:
    """Messages with one value of a kind each; three in ten are Chinese."""
    draw = random.Random(f"{kind} {seed}")
    return [_sample(kind, draw) for _ in range(count)]


def _sample(kind: str, draw: random.Random) -> Sample:
    han = draw.random() < HAN_SHARE
    make = HAN_MAKERS.get(kind, MAKERS[kind]) if han else MAKERS[kind]
    value, carrier = make(draw), draw.choice(HAN_CARRIERS if han else CARRIERS)
    cues = (HAN_CUES if han else CUES).get(kind)
    if cues is None and kind == "SECRET":
        cues = ("我的密码是{}", "密码：{}")
    frame = draw.choice(cues) if cues else _between(carrier, draw, han)
    frame = frame.replace("{carrier}", carrier)
    start = frame.index("{}")
    return Sample(kind, frame.replace("{}", value, 1), start, start + len(value))


def _between(carrier: str, draw: random.Random, han: bool) -> str:
    around = draw.choice(AROUND)
    if han:
        at = draw.choice((0, len(carrier)))
        return carrier[:at] + draw.choice(("", "，", " ")) + around + draw.choice(("", "，", " ")) + carrier[at:]
    words = carrier.split()
    at = draw.randint(0, len(words))
    return " ".join([*words[:at], around, *words[at:]])
