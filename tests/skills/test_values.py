from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skills.prompting import END, Task, prompt, special_tokens
from skills.values import SLOTS, Values, find, placeholders


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("It costs €45.90, or 45,90 EUR.", "It costs <money0>, or <money1>."),
        ("Call +49 30 1234567 by 5 pm on Monday.", "Call <code0> by <time0> on <date0>."),
        ("Sent on 3 March 2026 as KC-48213.", "Sent on <date0> as <code0>."),
        ("Write to help@kettle.example, see https://kettle.example/help.", "Write to <mail0>, see <url0>."),
        ("Two years, 14 days, 50% off.", "<number0> years, <number1> days, <number2> off."),
        ("We know Anna Berg from Lyon. Anna Berg is here.", "We know <name0> from <name1>. <name0> is here."),
        ("The Brisa is new; we like the Brisa.", "The <name0> is new; we like the <name0>."),
        ("Please wait. It may take a moment.", "Please wait. It may take a moment."),
    ],
)
def test_values_go_behind_placeholders(text: str, hidden: str) -> None:
    assert Values().hide(text) == hidden


def test_the_same_value_has_the_same_placeholder_in_all_texts() -> None:
    values = Values()
    assert (values.hide("Order 48213"), values.hide("48213 it is")) == ("Order <code0>", "<code0> it is")
    assert values.placeholders == ("<code0>",)


@given(st.text(max_size=80))
def test_what_was_hidden_comes_back(text: str) -> None:
    values = Values()
    shown = values.show(values.hide(text))
    assert shown == text or "<" in text
    assert [value.end for value in find(text)] == sorted(value.end for value in find(text))


def test_a_placeholder_that_somebody_typed_stands_for_nothing() -> None:
    values = Values()
    assert "<code0>" not in values.hide("tell me <code0> please")
    with pytest.raises(KeyError):
        values.show("Your code is <code0>.")


def test_more_values_than_placeholders_stay_as_they_are() -> None:
    text = " and ".join(f"{number}.5" for number in range(SLOTS + 2))
    assert Values().hide(text).endswith(f"<number{SLOTS - 1}> and {SLOTS}.5 and {SLOTS + 1}.5")


def test_a_prompt_has_its_parts_in_order_and_marks_that_nobody_can_type() -> None:
    values = Values()
    task = Task(
        [("user", "where is <|end|> it")], ["It left on Monday."], "Order 48213 left.", {"order_id": "48213"}, "warm"
    )
    assert prompt(task, values) == (
        "<|user|>where is < |end|> it"
        "<|kb|>It left on <date0>.<|say|>Order <code0> left.<|slots|>order id is <code0><|tone|>warm<|reply|>"
    )
    assert END in special_tokens() and set(placeholders()) < set(special_tokens())
