"""What a language needs to say dates, times, money and signs; numbers come from `skills.speakable_numbers`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from skills.speakable_numbers import cardinal, digit_by_digit, ordinal, year

Named = tuple[str, str]
"""The name of one and of several."""


@dataclass(frozen=True, slots=True)
class Tongue:
    """The words and the orders of words of a language. `money` names a unit and its hundredth."""

    code: str
    decimal: str
    months: tuple[str, ...]
    signs: Mapping[str, str]
    money: Mapping[str, tuple[Named, Named]]
    units: Mapping[str, Named]
    scales: tuple[str, ...]
    shortened: Mapping[str, str]
    date: Callable[[int, int, int | None], str]
    clock: Callable[[int, int], str]
    space: str = " "

    def count(self, number: str, name: Named) -> str:
        """A plain number with what is counted."""
        if number.lstrip("0") == "1":
            return f"{self.one(name[0])}{self.space}{name[0]}"
        return f"{self.number(number)}{self.space}{name[1]}"

    def one(self, noun: str) -> str:
        """One, as it stands before a noun; the gender of a German one is told by its ending."""
        if self.code != "de":
            return cardinal(1, self.code)
        return "eine" if noun.endswith(("e", "ung", "heit", "keit", "ion", "schaft", "tät")) else "ein"

    def number(self, number: str) -> str:
        """A plain number: digits with at most one full stop; what stands behind it is said digit by digit."""
        whole, _, rest = number.partition(".")
        said = cardinal(int(whole or "0"), self.code)
        if rest:
            said += f"{self.space}{self.signs['point']}{self.space}{digit_by_digit(rest, self.code)}"
        return said

    def price(self, number: str, currency: str) -> str:
        """An amount of money."""
        unit, cent = self.money[currency]
        whole, _, rest = number.partition(".")
        if len(rest) != 2 or self.code == "zh":
            return self.count(number, unit)
        if not int(rest):
            return self.count(whole, unit)
        if not int(whole):
            return self.count(rest, cent)
        if self.code == "de":
            return f"{self.count(whole, unit)} {cardinal(int(rest), self.code)}"
        return f"{self.count(whole, unit)} and {self.count(str(int(rest)), cent)}"


def _english_date(day: int, month: int, of: int | None) -> str:
    return f"{_MONTHS_EN[month - 1]} {ordinal(day, 'en')}" + (f", {year(of, 'en')}" if of else "")


def _english_clock(hour: int, minute: int) -> str:
    if not minute:
        return f"{cardinal(hour, 'en')} o'clock"
    return f"{cardinal(hour, 'en')} {'oh ' if minute < 10 else ''}{cardinal(minute, 'en')}"


def _german_date(day: int, month: int, of: int | None) -> str:
    return f"{ordinal(day, 'de', 'r')} {_MONTHS_DE[month - 1]}" + (f" {year(of, 'de')}" if of else "")


def _german_clock(hour: int, minute: int) -> str:
    hours = "ein" if hour == 1 else cardinal(hour, "de")
    return f"{hours} Uhr" + (f" {cardinal(minute, 'de')}" if minute else "")


def _chinese_date(day: int, month: int, of: int | None) -> str:
    return (f"{year(of, 'zh')}年" if of else "") + f"{cardinal(month, 'zh')}月{cardinal(day, 'zh')}日"


def _chinese_clock(hour: int, minute: int) -> str:
    hours = "两" if hour == 2 else cardinal(hour, "zh")
    lead = "零" if 0 < minute < 10 else ""
    return f"{hours}点" + (f"{lead}{cardinal(minute, 'zh')}分" if minute else "")


_MONTHS_EN = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_MONTHS_DE = (
    *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli"),
    *("August", "September", "Oktober", "November", "Dezember"),
)
CURRENCIES = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "CNY", "￥": "CNY", "元": "CNY"}
"""Signs of currencies; everything else is known by its three letters."""


def _table(text: str) -> dict[str, str]:
    """Pairs written as `key = value; key = value`."""
    pairs = (item.split(" = ", 1) for item in " ".join(text.split()).split("; "))
    return {key.strip(): value for key, value in pairs}


def _named(text: str) -> dict[str, Named]:
    """As `_table`; a value is the name of one and of several, `metre / metres`, or the same for both."""
    names = {key: value.partition(" / ") for key, value in _table(text).items()}
    return {key: (one, several or one) for key, (one, _, several) in names.items()}


_EN = Tongue(
    code="en",
    decimal=".",
    months=_MONTHS_EN,
    signs=_table("""
        point = point; minus = minus; plus = plus; % = percent; to = to; dot = dot; at = at; slash = slash; dash = dash;
        underscore = underscore; & = and; = = equals; < = less than; > = greater than; # = number; § = section;
        ° = degrees; × = by; ~ = about; ≈ = about; ≤ = at most; ≥ = at least; ½ = one half; ¼ = one quarter;
        ¾ = three quarters; @ = at; ? = question mark; : = colon; over = slash; + = plus
        """),
    money={
        "EUR": (("euro", "euros"), ("cent", "cents")),
        "USD": (("dollar", "dollars"), ("cent", "cents")),
        "GBP": (("pound", "pounds"), ("penny", "pence")),
        "CHF": (("Swiss franc", "Swiss francs"), ("centime", "centimes")),
        "CNY": (("yuan", "yuan"), ("fen", "fen")),
        "JPY": (("yen", "yen"), ("sen", "sen")),
    },
    units=_named("""
        mm = millimetre / millimetres; cm = centimetre / centimetres; m = metre / metres; km = kilometre / kilometres;
        g = gram / grams; kg = kilogram / kilograms; mg = milligram / milligrams; ml = millilitre / millilitres;
        cl = centilitre / centilitres; l = litre / litres; L = litre / litres; W = watt / watts; V = volt / volts;
        kW = kilowatt / kilowatts; kWh = kilowatt hour / kilowatt hours; mAh = milliamp hour / milliamp hours;
        min = minute / minutes; h = hour / hours; s = second / seconds; ms = millisecond / milliseconds;
        KB = kilobyte / kilobytes; MB = megabyte / megabytes; GB = gigabyte / gigabytes; TB = terabyte / terabytes;
        lb = pound / pounds; oz = ounce / ounces; px = pixel / pixels; Hz = hertz; GHz = gigahertz; ft = feet;
        °C = degree Celsius / degrees Celsius; °F = degree Fahrenheit / degrees Fahrenheit;
        km/h = kilometre an hour / kilometres an hour; m² = square metre / square metres; ° = degree / degrees
        """),
    scales=("thousand", "million", "billion", "trillion"),
    shortened=_table("""
        e.g. = for example; i.e. = that is; approx. = about; No. = number; no. = number; Nos. = numbers; vs. = versus;
        Mr. = Mister; Mrs. = Missus; Dr. = Doctor; Prof. = Professor; etc. = and so on; incl. = including;
        excl. = excluding; min. = minimum; max. = maximum
        """),
    date=_english_date,
    clock=_english_clock,
)
_DE = Tongue(
    code="de",
    decimal=",",
    months=_MONTHS_DE,
    signs=_table("""
        point = Komma; minus = minus; plus = plus; % = Prozent; to = bis; dot = Punkt; at = at; slash = Schrägstrich;
        dash = Bindestrich; underscore = Unterstrich; & = und; = = gleich; < = kleiner als; > = größer als; # = Nummer;
        § = Paragraph; ° = Grad; × = mal; ~ = ungefähr; ≈ = ungefähr; ≤ = höchstens; ≥ = mindestens; ½ = ein halb;
        ¼ = ein Viertel; ¾ = drei Viertel; @ = at; ? = Fragezeichen; : = Doppelpunkt; over = Schrägstrich; + = plus
        """),
    money={
        "EUR": (("Euro", "Euro"), ("Cent", "Cent")),
        "USD": (("Dollar", "Dollar"), ("Cent", "Cent")),
        "GBP": (("Pfund", "Pfund"), ("Penny", "Pence")),
        "CHF": (("Franken", "Franken"), ("Rappen", "Rappen")),
        "CNY": (("Yuan", "Yuan"), ("Fen", "Fen")),
        "JPY": (("Yen", "Yen"), ("Sen", "Sen")),
    },
    units=_named("""
        mm = Millimeter; cm = Zentimeter; m = Meter; km = Kilometer; g = Gramm; kg = Kilogramm; mg = Milligramm;
        ml = Milliliter; cl = Zentiliter; l = Liter; L = Liter; W = Watt; V = Volt; kW = Kilowatt; KB = Kilobyte;
        MB = Megabyte; GB = Gigabyte; TB = Terabyte; Hz = Hertz; GHz = Gigahertz; px = Pixel;
        kWh = Kilowattstunde / Kilowattstunden; min = Minute / Minuten; h = Stunde / Stunden; s = Sekunde / Sekunden;
        ms = Millisekunde / Millisekunden; °C = Grad Celsius; °F = Grad Fahrenheit; km/h = Kilometer pro Stunde;
        m² = Quadratmeter; mAh = Milliamperestunde / Milliamperestunden; ° = Grad
        """),
    scales=("Tausend", "tausend", "Million", "Millionen", "Milliarde", "Milliarden", "Mio.", "Mrd."),
    shortened=_table("""
        z. B. = zum Beispiel; z.B. = zum Beispiel; d. h. = das heißt; d.h. = das heißt; u. a. = unter anderem;
        u.a. = unter anderem; bzw. = beziehungsweise; ca. = circa; usw. = und so weiter; etc. = et cetera; Nr. = Nummer;
        Dr. = Doktor; Prof. = Professor; inkl. = inklusive; exkl. = exklusive; zzgl. = zuzüglich;
        MwSt. = Mehrwertsteuer; Tel. = Telefon; vgl. = vergleiche; ggf. = gegebenenfalls; evtl. = eventuell;
        Str. = Straße; Mio. = Millionen; Mrd. = Milliarden; min. = mindestens; max. = höchstens
        """),
    date=_german_date,
    clock=_german_clock,
)
_ZH = Tongue(
    code="zh",
    decimal=".",
    months=tuple(f"{cardinal(number, 'zh')}月" for number in range(1, 13)),
    signs=_table("""
        point = 点; minus = 负; plus = 加; to = 到; dot = 点;
        at = 艾特; slash = 斜杠; dash = 横杠; underscore = 下划线; & = 和;
        = = 等于; < = 小于; > = 大于; # = 号; ° = 度; × = 乘;
        ~ = 大约; ≈ = 大约; ≤ = 至多; ≥ = 至少; ½ = 二分之一; ¼ = 四分之一; ¾ = 四分之三;
        @ = 艾特; ? = 问号; : = 冒号; over = 斜杠; § = 第; + = 加; % = 百分之
        """),
    money={
        "EUR": (("欧元",) * 2, ("欧分",) * 2),
        "USD": (("美元",) * 2, ("美分",) * 2),
        "GBP": (("英镑",) * 2, ("便士",) * 2),
        "CHF": (("瑞士法郎",) * 2, ("生丁",) * 2),
        "CNY": (("元",) * 2, ("分",) * 2),
        "JPY": (("日元",) * 2, ("钱",) * 2),
    },
    units=_named("""
        mm = 毫米; cm = 厘米; m = 米; km = 公里; g = 克; kg = 公斤;
        mg = 毫克; ml = 毫升; l = 升; L = 升; W = 瓦; V = 伏; kW = 千瓦;
        kWh = 千瓦时; min = 分钟; h = 小时; s = 秒; GB = 吉字节;
        MB = 兆字节; °C = 摄氏度; km/h = 公里每小时; m² = 平方米; ° = 度
        """),
    scales=("万", "亿"),
    shortened={},
    date=_chinese_date,
    clock=_chinese_clock,
    space="",
)
TONGUES: Mapping[str, Tongue] = {tongue.code: tongue for tongue in (_EN, _DE, _ZH)}
