"""Placeholders: consistent within a conversation, offsets right, nothing of a value left, forms kept for learning."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import events as ev
from bot.core.errors import InputError
from bot.core.messages import Message, Text
from training.data import reviewed, slots_of
from training.examples import IntentExample
from training.privacy import PLACEHOLDER, Masker, Memory, natural, natural_intent, natural_slots

MASKER = Masker()
PIECES = st.sampled_from(
    ["order 48213", "kim@example.org", "4111 1111 1111 1111", "my name is Anna Berg", "the kettle leaks", "我叫王小明",
     "+44 7911 123456", "<NUMBER_1>", "DE89 3704 0044 0532 0130 00", "é", "born 12/03/1985", " ", ", "]
)  # fmt: skip


def test_one_value_has_one_placeholder_however_it_is_written() -> None:
    memory = Memory()
    first = MASKER.mask("card 4111 1111 1111 1111, mail kim@example.org", memory)
    again = MASKER.mask("Kim@Example.org or 4111-1111-1111-1111, not lee@example.org", memory)
    assert first.text == "card <CARD_1>, mail <EMAIL_1>"
    assert again.text == "<EMAIL_1> or <CARD_1>, not <EMAIL_2>"


def test_a_name_that_was_announced_is_masked_wherever_it_comes_again() -> None:
    memory = Memory()
    MASKER.mask("Hi, my name is Anna Berg", memory)
    assert MASKER.mask("Thank you, Anna! Is anna berg the holder?", memory).text == (
        "Thank you, <NAME_1>! Is <NAME_1> the holder?"
    )
    assert MASKER.mask("Thank you, Anna!", Memory()).text == "Thank you, Anna!"


@settings(deadline=None)
@given(st.lists(PIECES, max_size=8).map(" ".join))
def test_masking_twice_is_masking_once_and_the_rest_stays(text: str) -> None:
    masked = MASKER.mask(text)
    assert MASKER.mask(masked.text).text == masked.text
    end, fresh = 0, 0
    for span in masked.spans:
        assert text[end : span.was[0]] == masked.text[fresh : span.start]
        end, fresh = span.was[1], span.end
    assert text[end:] == masked.text[fresh:]


@settings(deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=8), st.data())
def test_a_word_that_stays_is_found_at_its_new_place(pieces: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(pieces)))
    text = " ".join([*pieces[:at], "teapot", *pieces[at:]])
    start = text.index("teapot")
    masked = MASKER.mask(text)
    first, last = masked.place(start, start + 6)
    assert "teapot" in masked.text[first:last]


def entity(text: str, word: str, kind: str) -> ev.Entity:
    start = text.index(word)
    return ev.Entity(type=kind, value=word, text=word, start=start, end=start + len(word))


def test_a_slot_keeps_its_span_even_where_more_than_it_is_masked() -> None:
    text = "is KC-48213 with the blue teapot here"
    masked = MASKER.mask(text)
    order, item = (masked.entity(entity(text, word, "x")) for word in ("48213", "teapot"))
    assert (order.text, order.value) == ("<NUMBER_1>", "<NUMBER_1>")
    assert masked.text[item.start : item.end] == item.text == item.value == "teapot"


def facts(*events: ev.Event) -> list[ev.Recorded]:
    return [ev.Recorded(conversation="c", seq=n, turn=1, at=float(n), event=event) for n, event in enumerate(events, 1)]


def said(text: str) -> Message:
    return Message(id="m1", parts=(Text(text=text),))


def test_a_whole_conversation_is_masked_and_its_corrections_teach_the_order_number() -> None:
    text = "this is Anna Berg speaking, where is order 48213?"
    history = facts(
        ev.Started(channel="web", sender="s"),
        ev.Received(message=said(text), key="k", channel="web", metadata={"title": "Anna Berg asks"}),
        ev.Understood(text=text, language="en", entities=(entity(text, "48213", "order_id"),)),
        ev.SlotSet(name="order_id", value=48213),
        ev.Replied(message=said("Order 48213 is on its way, Anna.")),
        ev.Corrected(target=1, intent="order_status", entities=(entity(text, "48213", "order_id"),)),
    )
    masked = MASKER.history(history)
    told = "".join(fact.model_dump_json() for fact in masked)
    assert "48213" not in told and "Anna" not in told
    assert masked[3].event == ev.SlotSet(name="order_id", value="<NUMBER_1>")
    (row,) = reviewed(masked)[1]
    assert row.text == "this is <NAME_1> speaking, where is order <NUMBER_1>?"
    learned = natural_slots(row)
    values = [token for token, tag in zip(learned.tokens, learned.tags, strict=True) if tag != "O"]
    assert (
        len(values[0]) == 5 and values[0].isdecimal() and values[0] != "48213" and learned.tags.count("B-order_id") == 1
    )


def test_facts_without_words_are_the_very_same() -> None:
    history = facts(ev.Started(channel="web", sender="12345678"), ev.Settled(outcome="replied"))
    assert all(old is new for old, new in zip(history, MASKER.history(history), strict=True))


def test_ids_and_digests_are_no_order_numbers() -> None:
    message = Message(id="u.20261122-061500", parts=(Text(text="hi"),), reply_to="m-123456")
    (fact,) = MASKER.history(facts(ev.Received(message=message, key="998877665544", channel="web")))
    assert isinstance(fact.event, ev.Received)
    assert (fact.event.message, fact.event.key) == (message, "998877665544")


@pytest.mark.parametrize("kind", ["EMAIL", "CARD", "NAME", "PHONE", "IBAN", "IP", "URL", "DOB", "ADDRESS", "SECRET"])
def test_a_made_up_value_takes_each_placeholders_place(kind: str) -> None:
    text = natural(f"use <{kind}_1> and <{kind}_2>, not <{kind}_1>").text
    assert not PLACEHOLDER.search(text)
    first, second = text.removeprefix("use ").split(", not ")[0].split(" and ")
    assert text.endswith(f"not {first}") and first != second
    assert natural(f"请用 <{kind}_1>").text != f"请用 <{kind}_1>"


def test_rows_without_placeholders_are_the_very_same() -> None:
    row, slots = IntentExample("is 3 < 4?", "chat"), slots_of("is 3 < 4?", (), "chat", "en")
    assert natural_intent(row) is row and natural_slots(slots) is slots
    assert len(natural_intent(IntentExample("<NUMBER_1>?", "chat")).text) == len("17919?")


def test_another_version_of_the_masker_is_refused() -> None:
    with pytest.raises(InputError, match="version"):
        Masker("0")
