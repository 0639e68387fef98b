"""Slot mappings in and around forms: what a message fills, when its form begins, goes on, or refused it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import JsonValue

from bot.core.conversation import Conversation
from bot.core.extraction import triggered
from bot.core.program import MappingCondition, Program, SlotMapping
from bot.core.protocols import ActionResult
from bot.core.script import Form, LoopIs
from bot.core.steps import Run
from tests.core.talk import Talk
from tests.core.test_dialogue import FORM, RULES, SLOTS, did, from_entity, heard, number, program, rule, slot

INSIDE = MappingCondition(loop="table_form")
ASKED = MappingCondition(loop="table_form", requested="people")
ELSEWHERE = MappingCondition(loop="other_form")


def booking(*mappings: SlotMapping, kind: str = "text", **more: Any) -> Program:
    """The form for a table, whose slot `people` has these mappings."""
    slots = {s.name: s for s in (slot("people", *mappings, type=kind, influences=False), *SLOTS[1:])}
    return program(slots=slots, **more)


def people(talk: Talk) -> JsonValue:
    return talk.conversation.slots.get("people")


def test_the_message_that_starts_a_form_may_answer_its_questions() -> None:
    talk = Talk(booking(from_entity("number", conditions=(INSIDE,))))
    assert talk.say("a table for 4", "book", entities=(number("4"),)) == "ask time"
    assert people(talk) == "4"


def test_it_answers_none_that_was_not_asked_yet() -> None:
    talk = Talk(booking(from_entity("number", conditions=(ASKED,))))
    assert talk.say("a table for 4", "book", entities=(number("4"),)) == "ask people"
    assert talk.say("for 4", "inform", entities=(number("4"),)) == "ask time"


def test_what_the_message_filled_before_the_form_is_not_filled_again() -> None:
    talk = Talk(booking(from_entity("number"), SlotMapping(kind="from_text", conditions=(INSIDE,))))
    talk.say("a table for 4", "book", entities=(number("4"),))
    assert people(talk) == "4"


def test_nothing_is_filled_before_a_message_was_understood() -> None:
    assert triggered(FORM, Conversation(id="c"), program()) == ()


@pytest.mark.parametrize(
    ("mapping", "filled"),
    [
        (SlotMapping(kind="from_trigger_intent", intents=("book",), value="two"), "two"),
        (SlotMapping(kind="from_trigger_intent", intents=("book",), value="two", conditions=(INSIDE,)), "two"),
        (SlotMapping(kind="from_trigger_intent", intents=("book",), value="two", conditions=(ELSEWHERE,)), None),
        (SlotMapping(kind="from_trigger_intent", intents=("bye",), value="two"), None),
    ],
)
def test_trigger_intents_count_in_the_forms_that_they_name(mapping: SlotMapping, filled: str | None) -> None:
    talk = Talk(booking(mapping))
    talk.say("a table", "book")
    assert people(talk) == filled


def test_a_trigger_intent_fills_nothing_outside_of_forms() -> None:
    talk = Talk(booking(SlotMapping(kind="from_trigger_intent", intents=("goodbye",), value="two")))
    talk.say("bye", "goodbye")
    assert people(talk) is None


@pytest.mark.parametrize(
    ("mapping", "filled"),
    [
        (from_entity("number"), None),
        (from_entity("number", conditions=(INSIDE,)), None),
        (from_entity("number", conditions=(MappingCondition(),)), "4"),
        (from_entity("number", intents=("help",)), "4"),
        (from_entity("number", not_intents=("help",)), None),
    ],
)
def test_ignored_intents_concern_mappings_of_the_form_that_name_no_intent(
    mapping: SlotMapping, filled: str | None
) -> None:
    talk = Talk(booking(mapping))
    talk.say("a table", "book")
    talk.say("help 4", "help", entities=(number("4"),))
    assert people(talk) == filled


@pytest.mark.parametrize(
    "mapping",
    [
        SlotMapping(kind="from_text"),
        SlotMapping(kind="from_intent", intents=("book",), value="a table"),
        SlotMapping(kind="from_trigger_intent", intents=("book",), value="a table"),
    ],
)
def test_slots_of_type_list_hold_lists(mapping: SlotMapping) -> None:
    talk = Talk(booking(mapping, kind="list"))
    talk.say("a table", "book")
    assert people(talk) == ["a table"]


def test_after_a_refused_answer_the_next_message_is_none_until_the_form_asks_again() -> None:
    rules = (
        *RULES,
        rule("help inside", LoopIs(loop="table_form"), heard("help"), *did("utter_help")),
        rule("on", LoopIs(loop="table_form"), *did("utter_help"), heard("affirm"), *did("table_form")),
    )
    talk = Talk(booking(SlotMapping(kind="from_text", conditions=(ASKED,)), rules=rules, stories=()))
    assert talk.say("a table", "book") == "ask people"
    assert talk.say("why?", "help") == "help"
    assert talk.say("yes", "affirm") == "ask people"
    assert people(talk) is None
    assert talk.say("four", "inform") == "ask time"
    assert people(talk) == "four"


DYNAMIC = "validate_table_form"


def dynamic() -> Talk:
    """A form whose validation says what to ask for, as a `required_slots` method of rasa-sdk does."""
    made = booking(from_entity("number"), actions=(DYNAMIC,), forms={"table_form": Form(name="table_form")})
    return Talk(made, actions={DYNAMIC: ActionResult(slots={"requested_slot": "people"})})


def test_a_form_whose_validation_says_what_to_ask_for_goes_on_after_other_talk() -> None:
    talk = dynamic()
    assert talk.say("a table", "book") == "ask people"
    assert talk.say("help", "help") == "help | ask people"
    assert [step.action for step in talk.steps if isinstance(step, Run)].count(DYNAMIC) >= 2


def test_an_answer_that_the_validation_finds_is_not_refused() -> None:
    talk = dynamic()
    talk.say("a table", "book")
    talk.actions[DYNAMIC] = ActionResult(slots={"requested_slot": "time", "people": "9"})
    assert talk.say("help", "help") == "ask time"


def test_a_refused_message_does_not_change_what_is_asked_for() -> None:
    talk = dynamic()
    talk.say("a table", "book")
    talk.actions[DYNAMIC] = ActionResult(slots={"requested_slot": None})
    talk.say("so sad", "unhappy")
    assert talk.conversation.slots.get("requested_slot") == "people"
