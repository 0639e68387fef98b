"""What a message says about slots."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from bot.core.events import Entity, Scored, Understood
from bot.core.filling import coerce, for_asked, from_entities, pressed, read_payload, set_slots
from bot.core.messages import Choice
from bot.core.program import Program, Slot
from tests.core.talk import entity, mapped


def heard(text: str, intent: str = "", *entities: Entity) -> Understood:
    ranked = (Scored(name=intent, score=0.9),) if intent else ()
    return Understood(text=text, language="en", intents=ranked, in_scope=float(bool(intent)), entities=entities)


def asked(slot: Slot, understood: Understood) -> JsonValue:
    found = for_asked(slot, understood, Program())
    return found.value if found else None


def test_a_button_is_pressed_by_payload_or_by_title() -> None:
    offered = [Choice(title="Track it", payload="/track"), Choice(title="No", payload="/deny")]
    assert pressed(" /deny ", offered) == offered[1]
    assert pressed("track IT", offered) == offered[0]
    assert pressed("/other", offered) is None


@pytest.mark.parametrize(
    ("payload", "intent", "values"),
    [
        ("/book", "book", []),
        ('/book{"n": 2}', "book", [2]),
        ('/book@0.9{"n": ["a", "b"]}', "book", ["a", "b"]),
        ('/book{{"n": 2}}', "book", [2]),
        ("/book{broken}", "book", []),
        ("/faq/hours", "faq/hours", []),
    ],
)
def test_payloads(payload: str, intent: str, values: list[JsonValue]) -> None:
    understood = read_payload(Choice(title="T", payload=payload))
    assert understood is not None
    assert understood.intents[0].name == intent and understood.accepted
    assert [e.value for e in understood.entities] == values


def test_payloads_that_are_words_or_slots() -> None:
    assert read_payload(Choice(title="T", payload="tell me more")) is None
    slots = read_payload(Choice(title="T", payload="/SetSlots(a=1)"))
    assert slots is not None and slots.intents == ()
    assert set_slots("/SetSlots(a=1, b = two, , =3)") == {"a": "1", "b": "two"}
    assert set_slots("/other") == {}


@pytest.mark.parametrize(
    ("slot", "value", "expected"),
    [
        (Slot(name="a", type="any"), {"x": 1}, {"x": 1}),
        (Slot(name="a", type="text"), 5, "5"),
        (Slot(name="a", type="bool"), "Yes", True),
        (Slot(name="a", type="bool"), False, False),
        (Slot(name="a", type="bool"), "off", False),
        (Slot(name="a", type="bool"), "maybe", None),
        (Slot(name="a", type="float"), "2,5", 2.5),
        (Slot(name="a", type="float", maximum=2), 3, None),
        (Slot(name="a", type="float", minimum=2), 1, None),
        (Slot(name="a", type="float"), "many", None),
        (Slot(name="a", type="list"), "x", ["x"]),
        (Slot(name="a", type="list"), ["x"], ["x"]),
        (Slot(name="a", type="categorical", values=("Red", "Blue")), "red", "Red"),
        (Slot(name="a", type="categorical", values=("Red", "Blue")), "the blue one", "Blue"),
        (Slot(name="a", type="categorical", values=("Red", "Blue")), "red or blue", None),
        (Slot(name="a", type="categorical", values=("红色", "蓝色")), "我要红色的", "红色"),
        (Slot(name="a", type="categorical", values=("Red", "__other__")), "green", "__other__"),
        (Slot(name="a"), None, None),
    ],
)
def test_values_take_the_type_of_their_slot(slot: Slot, value: JsonValue, expected: JsonValue) -> None:
    assert coerce(slot, value) == expected


def test_a_slot_without_mappings_takes_its_entity_then_the_text() -> None:
    assert asked(Slot(name="city"), heard("to Utrecht", "", entity("city", "Utrecht"))) == "Utrecht"
    assert asked(Slot(name="city"), heard("Utrecht")) == "Utrecht"
    assert asked(Slot(name="city"), heard("  ")) is None
    assert asked(Slot(name="n", type="float"), heard("I need 3", "", entity("number", "3"))) == 3.0
    assert asked(Slot(name="sure", type="bool"), heard("nope", "deny")) is False
    assert asked(Slot(name="many", type="list"), heard("a", "", entity("many", "a"))) == ["a"]


def test_mappings_heed_intents_roles_and_groups() -> None:
    slot = mapped("city", role="to", intents=("book",))
    span = entity("city", "Rome").model_copy(update={"role": "to"})
    assert asked(slot, heard("Rome", "book", span)) == "Rome"
    assert asked(slot, heard("Rome", "other", span)) is None
    assert asked(slot, heard("Rome", "book", entity("city", "Rome"))) is None
    refused = mapped("city", not_intents=("book",))
    assert asked(refused, heard("Rome", "book", span)) is None
    grouped = mapped("city", group="1")
    assert asked(grouped, heard("Rome", "", span)) is None


def test_intent_mappings_need_an_accepted_intent() -> None:
    slot = mapped("vip", "from_intent", intents=("claim",), value="yes")
    assert asked(slot, heard("I am", "claim")) == "yes"
    assert asked(mapped("vip", "from_intent", value="yes"), heard("I am")) is None
    assert asked(mapped("x", "controlled"), heard("x")) is None


def test_entities_fill_all_their_slots_but_those_already_used() -> None:
    span = entity("order_id", "1")
    shop = Program(slots={"a": mapped("order_id").model_copy(update={"name": "a"}), "b": Slot(name="b")})
    assert list(from_entities(heard("1", "", span), shop)) == ["a"]
    assert from_entities(heard("1", "", span), shop, skip=span) == {}
