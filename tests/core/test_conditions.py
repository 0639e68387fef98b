"""The language of conditions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from bot.core.conditions import holds, parse, slot_names
from bot.core.errors import ProjectError

SLOTS: dict[str, JsonValue] = {
    "amount": 120.0, "country": "de", "vip": True, "tags": ["a", "b"], "note": "", "id": "48213", "n": 7,
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "slots.amount > 100", "slots.amount >= 120", "slots.amount <= 120", "slots.amount < 121", "slots.amount = 120",
        'slots.country = "DE"', "slots.country == 'DE'", 'slots.country != "FR"', "slots.vip", "slots.vip = true",
        "not slots.missing", "slots.missing is null", "slots.note is empty", "slots.id is not null",
        'slots.id matches "^[0-9]{5}$"', 'slots.n matches "^7$"', r'slots.id matches "^\d+$"',
        'slots.id not matches "x"', 'slots.tags contains "a"', 'slots.country contains "E"',
        'slots.country = "FR" or slots.vip and slots.amount > 1', "(slots.vip or slots.no) and not (slots.no)",
        "slots.vip != false", "slots.missing = null", "-1 < 0", 'slots.id > "5"', r'"a\"b" = "a\"b"',
    ],
)  # fmt: skip
def test_true(text: str) -> None:
    assert holds(text, SLOTS)


@pytest.mark.parametrize(
    "text",
    [
        "slots.amount > 200", 'slots.country = "FR"', "slots.country > 3", "slots.vip > 0", "slots.tags > 1",
        "slots.vip = 1", 'slots.tags matches "a"', 'slots.vip matches "x"', 'slots.tags contains "z"',
        "slots.vip contains 3", "slots.id is null", "slots.note is not null", "slots.id matches slots.broken",
    ],
)  # fmt: skip
def test_false(text: str) -> None:
    assert not holds(text, {**SLOTS, "broken": "("})


def test_no_condition_is_true() -> None:
    assert holds(None, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a value"), ("slots.a >", "expected a value"), ("slots.a = = 3", "expected a value"),
        ("amount > 3", "slots.NAME"), ("slots. > 3", "slots.NAME"), ("(slots.a", "expected ')'"),
        ("slots.a is 3", "expected null"), ("slots.a not 3", "expected matches"), ("slots.a slots.b", "the end"),
        ("slots.a & 3", "an operator"), ('slots.a matches "("', "regular expression"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_a_reason(text: str, expected: str) -> None:
    with pytest.raises(ProjectError, match="condition") as caught:
        parse(text)
    assert expected in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        holds(text, SLOTS)
    except ProjectError as error:
        assert "condition" in str(error)


def test_depth_is_bounded() -> None:
    with pytest.raises(ProjectError, match="deep"):
        parse("(" * 5000 + "slots.a" + ")" * 5000)


def test_slot_names() -> None:
    assert slot_names('slots.a = "slots.x" and not slots.b or slots.a') == ("a", "b")
