"""The domain as action servers get it."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.program import EntityType, Intent, MappingCondition, Program, Slot, SlotMapping, Variation
from bot.core.rasa.domain import rasa_domain
from bot.core.script import Form, Script, Session

FULL = Program(
    intents={
        "greet": Intent(name="greet", label="g"),
        "bye": Intent(name="bye", label="b", entities=("city",)),
        "faq/a": Intent(name="faq/a", label="a", retrieval=True),
        "faq/b": Intent(name="faq/b", label="b", retrieval=True),
    },
    entities={"city": EntityType(name="city", roles=("from",), groups=("1",)), "size": EntityType(name="size")},
    slots={"size": Slot(name="size", initial="M")},
    responses={"utter_greet": (Variation(text="Hi"),)},
    actions=("action_x",),
    script=Script(
        forms={"f": Form(name="f", required=("size",), ignored_intents=("bye",)), "g": Form(name="g")},
        session=Session(expires=2.5, carry_over=False),
    ),
)


def test_a_domain_has_rasas_keys() -> None:
    found = rasa_domain(FULL)
    slots = found.pop("slots")
    assert found == {
        "version": "3.1",
        "intents": [
            "greet",
            {"bye": {"used_entities": ["city", "city#from", "city#1"]}},
            {"faq": {"is_retrieval_intent": True, "used_entities": ["city", "city#from", "city#1", "size"]}},
        ],
        "entities": [{"city": {"roles": ["from"], "groups": ["1"]}}, "size"],
        "forms": {"f": {"required_slots": ["size"], "ignored_intents": ["bye"]}, "g": {"required_slots": []}},
        "responses": {"utter_greet": [{"text": "Hi"}]},
        "actions": ["action_x"],
        "session_config": {"session_expiration_time": 2.5, "carry_over_slots_to_new_session": False},
    }
    assert list(slots) == ["size", "session_started_metadata", "requested_slot"]
    assert slots["requested_slot"]["type"] == "text" and slots["session_started_metadata"]["type"] == "any"


def test_a_bot_without_a_script_has_a_domain_too() -> None:
    found = rasa_domain(Program())
    assert found["session_config"] == {"session_expiration_time": 60, "carry_over_slots_to_new_session": True}
    assert found["forms"] == found["slots"] == {}


MAPPINGS: list[tuple[SlotMapping, dict[str, Any]]] = [
    (SlotMapping(kind="controlled", action="action_x"), {"type": "custom", "action": "action_x"}),
    (
        SlotMapping(kind="from_entity", entity="city", role="from", intents=("a",), not_intents=("b",)),
        {"type": "from_entity", "entity": "city", "role": "from", "intent": ["a"], "not_intent": ["b"]},
    ),
    (SlotMapping(kind="from_intent", value=False), {"type": "from_intent", "value": False}),
    (
        SlotMapping(kind="from_text", conditions=(MappingCondition(loop="f", requested="s"), MappingCondition(loop=""),
                                                  MappingCondition())),
        {"type": "from_text", "conditions": [{"active_loop": "f", "requested_slot": "s"}, {"active_loop": None}, {}]},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("mapping", "expected"), MAPPINGS)
def test_a_mapping_is_told_as_written(mapping: SlotMapping, expected: dict[str, Any]) -> None:
    found = rasa_domain(Program(slots={"s": Slot(name="s", mappings=(mapping,))}))
    assert found["slots"]["s"]["mappings"] == [expected]


@pytest.mark.parametrize(
    ("slot", "expected"),
    [
        (Slot(name="s", type="categorical", values=("a", "b")), {"type": "categorical", "values": ["a", "b"]}),
        (Slot(name="s", type="float", minimum=0.5), {"type": "float", "min_value": 0.5}),
        (Slot(name="s", type="any"), {"type": "any", "influence_conversation": False}),
        (Slot(name="s", type="bool", initial=True), {"initial_value": True, "mappings": [{"type": "custom"}]}),
    ],
)
def test_a_slot_has_its_type(slot: Slot, expected: dict[str, Any]) -> None:
    found = rasa_domain(Program(slots={"s": slot}))["slots"]["s"]
    assert expected.items() <= found.items()
