"""Built-in types. The time of the messages is Wednesday, 18 November 2026, 10:00 UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.errors import SettingsError
from skills.entities_builtin import BUILT_IN, BuiltIns, Locality
from skills.entities_rules import MAX_FOUND, MAX_TEXT

NOW = datetime(2026, 11, 18, 10, tzinfo=UTC).timestamp()
FINDERS = {kind: BuiltIns((kind,)) for kind in BUILT_IN}
EVERYTHING = BuiltIns(BUILT_IN)

CASES = [
    ("number", "I want 3 of them", [(3, "3")]),
    ("number", "it shows 1,299.50 now", [(1299.5, "1,299.50")]),
    ("number", "it shows 1.299,50 now", [(1299.5, "1.299,50")]),
    ("number", "-5 outside", [(-5, "-5")]),
    ("number", "twenty-five boxes, no, two hundred and three", [(25, "twenty-five"), (203, "two hundred and three")]),
    ("number", "one", [(1, "one")]),
    ("number", "this one is broken", []),
    ("number", "the v2 lid, part A7", []),
    ("number", "我要三个", [(3, "三")]),
    ("number", "两千零一个", [(2001, "两千零一")]),
    ("number", "三十五", [(35, "三十五")]),
    ("number", "等一下", []),
    ("money", "it cost $20", [(20, "$20")]),
    ("money", "you took €1.299,50 twice", [(1299.5, "€1.299,50")]),
    ("money", "12.50 EUR or twenty dollars", [(12.5, "12.50 EUR"), (20, "twenty dollars")]),
    ("money", "about 5k dollars, $1.5 million", [(5000, "5k dollars"), (1_500_000, "$1.5 million")]),
    ("money", "三百块", [(300, "三百块")]),
    ("money", "20 kettles", []),
    ("duration", "closed for 3 days", [(259_200, "3 days")]),
    ("duration", "2 hours and 30 minutes", [(9000, "2 hours and 30 minutes")]),
    ("duration", "half an hour or two and a half hours", [(1800, "half an hour"), (9000, "two and a half hours")]),
    ("duration", "三个小时", [(10_800, "三个小时")]),
    ("date", "tomorrow", [("2026-11-19", "tomorrow")]),
    ("date", "the day after tomorrow", [("2026-11-20", "the day after tomorrow")]),
    ("date", "friday", [("2026-11-20", "friday")]),
    ("date", "next friday", [("2026-11-27", "next friday")]),
    ("date", "last monday", [("2026-11-16", "last monday")]),
    ("date", "this wednesday", [("2026-11-18", "this wednesday")]),
    ("date", "wednesday", [("2026-11-25", "wednesday")]),
    ("date", "in three days", [("2026-11-21", "in three days")]),
    ("date", "two weeks ago", [("2026-11-04", "two weeks ago")]),
    ("date", "on March 5th, 2027", [("2027-03-05", "March 5th, 2027")]),
    ("date", "the 3rd of May", [("2027-05-03", "the 3rd of May")]),
    ("date", "2027-03-05 or 13/4/2027", [("2027-03-05", "2027-03-05"), ("2027-04-13", "13/4/2027")]),
    ("date", "31/2/2027", []),
    ("date", "you may go, the sun is out", []),
    ("date", "明天", [("2026-11-19", "明天")]),
    ("date", "下周五见", [("2026-11-27", "下周五")]),
    ("date", "上周五", [("2026-11-13", "上周五")]),
    ("date", "3月5号", [("2027-03-05", "3月5号")]),
    ("date", "十二月二十五日", [("2026-12-25", "十二月二十五日")]),
    ("date", "三天后", [("2026-11-21", "三天后")]),
    ("time", "at 3pm", [("15:00", "3pm")]),
    ("time", "12am", [("00:00", "12am")]),
    ("time", "15:30:20", [("15:30:20", "15:30:20")]),
    ("time", "half past nine, quarter to six", [("09:30", "half past nine"), ("05:45", "quarter to six")]),
    ("time", "8 o'clock in the evening", [("20:00", "8 o'clock in the evening")]),
    ("time", "friday at 9", [("09:00", "9")]),
    ("time", "at 9", []),
    ("time", "下午三点", [("15:00", "下午三点")]),
    ("time", "晚上8点半", [("20:30", "晚上8点半")]),
    ("email", "Anna.B+x@example.co.uk.", [("anna.b+x@example.co.uk", "Anna.B+x@example.co.uk")]),
    ("email", "a@b", []),
    ("phone", "call (212) 555-0147 please", [("+12125550147", "(212) 555-0147")]),
    ("phone", "order 48213", []),
    ("url", "see https://example.org/a?b=c.", [("https://example.org/a?b=c", "https://example.org/a?b=c")]),
    ("url", "me@example.com end.Start", []),
]


@pytest.mark.parametrize(("kind", "text", "expected"), CASES)
def test_value_and_text(kind: str, text: str, expected: list[tuple[object, str]]) -> None:
    entities = FINDERS[kind].find(text, NOW)
    assert [(entity.value, entity.text) for entity in entities] == expected
    assert all(text[entity.start : entity.end] == entity.text and entity.type == kind for entity in entities)


def test_phone_without_prefix_is_read_as_of_the_country() -> None:
    [entity] = BuiltIns(("phone",), Locality("de")).find("meine Nummer: 030 123456", NOW)
    assert entity.value == "+4930123456"


@pytest.mark.parametrize(
    ("where", "country"),
    [(Locality(), "US"), (Locality("zh-CN"), "CN"), (Locality("de"), "DE"), (Locality("en", "GB"), "GB")],
)
def test_country_is_the_region_or_that_of_the_language(where: Locality, country: str) -> None:
    assert where.country == country


def test_order_of_day_and_month_depends_on_the_region() -> None:
    values = [BuiltIns(("date",), Locality(region=region)).find("3/4/2027", NOW)[0].value for region in ("US", "GB")]
    assert values == ["2027-03-04", "2027-04-03"]


def test_today_is_the_day_where_the_users_are() -> None:
    late = datetime(2026, 11, 18, 23, tzinfo=UTC).timestamp()
    [entity] = BuiltIns(("date",), Locality(timezone="Asia/Shanghai")).find("today", late)
    assert entity.value == "2026-11-19"


def test_spelled_numbers_of_another_language() -> None:
    [entity] = BuiltIns(("number",), Locality(language="de")).find("ich nehme fünfundzwanzig Stück", NOW)
    assert (entity.value, entity.text) == (25, "fünfundzwanzig")


def test_only_the_declared_types_are_found() -> None:
    assert {entity.type for entity in BuiltIns(("email",)).find("me@x.org, $5, tomorrow", NOW)} == {"email"}


def test_only_what_may_hold_a_date_depends_on_the_day() -> None:
    assert EVERYTHING.day("where is my parcel, a@b.com?", NOW) is None
    assert BuiltIns(("number",)).day("on friday", NOW) is None
    assert EVERYTHING.day("on friday", NOW) == date(2026, 11, 18)
    assert BuiltIns(("date",), Locality("fr", timezone="Pacific/Auckland")).day("demain", NOW + 3600) == date(
        2026, 11, 19
    )


@pytest.mark.parametrize("hour", range(0, 24, 5))
def test_a_date_means_the_same_all_day(hour: int) -> None:
    midnight = NOW - 10 * 3600
    texts = (
        "in two hours",
        "in 3 days",
        "next friday",
        "tonight",
        "half an hour from now",
        "later today",
        "3 days ago",
    )
    for text in texts:
        assert FINDERS["date"].find(text, midnight + hour * 3600) == FINDERS["date"].find(text, midnight)


def test_unknown_type_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"expected types of number, .* found colour"):
        BuiltIns(("colour",))


def test_nothing_beyond_the_limit_is_looked_at() -> None:
    assert EVERYTHING.find(" " * MAX_TEXT + "$5", NOW) == []


@pytest.mark.parametrize(
    "part", ["1,", "5 March ", "a@", "212 555 0123 ", "+1 (", "two ", "一", "12:30 ", "3 hours ", "x."]
)
def test_huge_repetitive_text_gives_a_bounded_number_of_spans(part: str) -> None:
    assert len(EVERYTHING.find(part * 50_000, NOW)) <= MAX_FOUND * len(BUILT_IN)


PIECES = st.sampled_from(
    [*"0123456789.,-+/:$€@ ()一二三十百万点月日周后", "pm", "twenty", "and", "half", "next", "friday", "\ud800"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(PIECES, st.characters()), max_size=25).map("".join))
def test_any_text_gives_spans_inside_the_text(text: str) -> None:
    for entity in EVERYTHING.find(text, NOW):
        assert 0 <= entity.start < entity.end <= len(text)
        assert text[entity.start : entity.end] == entity.text
