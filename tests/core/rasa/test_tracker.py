"""The tracker: keys, types, and what events add up to."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core import events as ev
from bot.core.program import Program, Slot
from bot.core.rasa.tracker import Include, applied, rasa_tracker, tracker_of
from tests.core.rasa.wire import (
    LISTENS,
    SCRIPTED,
    action,
    chosen,
    event,
    featurized,
    history,
    ran,
    received,
    understood,
    user,
)

KEYS = [
    "sender_id", "slots", "latest_message", "latest_event_time", "followup_action", "paused", "events",
    "latest_input_channel", "active_loop", "latest_action", "latest_action_name",
]  # fmt: skip
FORM = [
    user("order", 1.0, "order"), action("order_form", 2.0), event("active_loop", 3.0, name="order_form"),
    action("action_listen", 4.0), user("large", 5.0, "inform"),
]  # fmt: skip
TURN = history(
    ev.Started(channel="rest", sender="u/1"), received(), understood(), ev.SessionStarted(), ev.Extracted(),
    ev.SlotSet(name="size", value="L"), chosen("order_form"), ev.LoopChanged(loop="order_form"), ran("order_form"),
    *LISTENS,
)  # fmt: skip


def tracker(*events: dict[str, Any], program: Program = SCRIPTED) -> dict[str, Any]:
    return tracker_of("c", events, program, "ALL")


def test_a_tracker_has_rasas_keys_and_types() -> None:
    found = rasa_tracker("u/1", TURN, SCRIPTED)
    assert list(found) == KEYS
    events = found.pop("events")
    assert [list(each)[:2] for each in events] == [["event", "timestamp"]] * len(events)
    message = events[3]["parse_data"]
    loop = {"name": "order_form", "is_interrupted": False, "rejected": False, "trigger_message": message}
    assert found == {
        "sender_id": "u/1",
        "slots": {"size": "L", "session_started_metadata": None, "requested_slot": None},
        "latest_message": message,
        "latest_event_time": 10.0,
        "followup_action": None,
        "paused": False,
        "latest_input_channel": "rest",
        "active_loop": loop,
        "latest_action": {"action_name": "action_listen"},
        "latest_action_name": "action_listen",
    }
    assert list(message) == ["intent", "entities", "text", "message_id", "metadata", "text_tokens", "intent_ranking",
                             "response_selector"]  # fmt: skip


def test_nothing_happened_yet() -> None:
    empty: dict[str, Any] = {"intent": {}, "entities": [], "text": None, "message_id": None, "metadata": {}}
    assert tracker() == {
        "sender_id": "c",
        "slots": {"size": "M", "session_started_metadata": None, "requested_slot": None},
        "latest_message": empty,
        "latest_event_time": None,
        "followup_action": "action_listen",
        "paused": False,
        "events": [],
        "latest_input_channel": None,
        "active_loop": {},
        "latest_action": {},
        "latest_action_name": None,
    }


def test_slots_of_a_bot_without_forms_or_script() -> None:
    assert tracker(program=Program(slots={"a": Slot(name="a", initial=1)}))["slots"] == {"a": 1}
    assert SCRIPTED.script is not None
    scripted = SCRIPTED.model_copy(update={"script": SCRIPTED.script.model_copy(update={"forms": {}})})
    assert "requested_slot" not in tracker(program=scripted)["slots"]


def test_slots_are_set_and_reset() -> None:
    events = [event("slot", 1.0, name="size", value="L"), event("slot", 2.0, name="new", value=1)]
    assert tracker(*events)["slots"]["size"] == "L" and tracker(*events)["slots"]["new"] == 1
    assert tracker(*events, event("reset_slots", 3.0))["slots"]["size"] == "M"


@pytest.mark.parametrize(
    ("kind", "followup"), [("session_started", "action_listen"), ("restart", "action_session_start")]
)
def test_a_new_session_forgets(kind: str, followup: str) -> None:
    found = tracker(*FORM, event("pause", 6.0), event(kind, 7.0))
    assert (found["active_loop"], found["latest_action"], found["paused"]) == ({}, {}, False)
    assert found["followup_action"] == followup and found["latest_message"]["text"] is None


def test_following_up_lasts_until_something_is_done_or_said() -> None:
    following = event("followup", 1.0, name="a")
    assert tracker(following)["followup_action"] == "a"
    assert tracker(following, action("a", 2.0))["followup_action"] is None
    assert tracker(following, user("hi", 2.0, "greet"))["followup_action"] is None


def test_entities_found_later_join_those_of_the_message() -> None:
    city = {"entity": "city", "value": "Bonn", "start": 0, "end": 4}
    found = tracker(user("Bonn", 1.0, "inform", [city]), event("entities", 2.0, entities=[city, {"entity": "b"}]))
    assert found["latest_message"]["entities"] == [city, {"entity": "b"}]
    assert found["events"][0]["parse_data"]["entities"] == [city]


def test_a_form_is_interrupted_rejected_and_goes_on() -> None:
    rejected = [*FORM, event("action_execution_rejected", 6.0, name="order_form")]
    assert tracker(*rejected)["active_loop"]["rejected"] is True
    away = [*rejected, event("loop_interrupted", 7.0, is_interrupted=True)]
    assert tracker(*away)["active_loop"]["is_interrupted"] is True
    other = tracker(*away, action("utter_x", 8.0))["active_loop"]
    assert (other["rejected"], other["is_interrupted"]) == (True, False)
    assert tracker(*away, action("order_form", 8.0))["active_loop"]["rejected"] is False
    assert tracker(*away, event("active_loop", 8.0, name=None))["active_loop"] == {}


def test_without_a_form_nothing_is_interrupted() -> None:
    found = tracker(event("loop_interrupted", 1.0), event("action_execution_rejected", 2.0, name="f"))
    assert found["active_loop"] == {}


def test_the_bot_pauses_and_resumes() -> None:
    assert tracker(event("pause", 1.0))["paused"] is True
    assert tracker(event("pause", 1.0), event("resume", 2.0))["paused"] is False


def test_an_action_of_words_has_its_text() -> None:
    found = tracker(event("action", 1.0, name=None, action_text="Hello"))
    assert (found["latest_action"], found["latest_action_name"]) == ({"action_text": "Hello"}, "Hello")


def test_taking_back_restores_what_was_before() -> None:
    before = [action("action_listen", 1.0), user("hi", 2.0, "greet"), action("utter_greet", 3.0), action(
        "action_listen", 4.0)]  # fmt: skip
    later = [user("no", 5.0, "deny"), event("slot", 6.0, name="size", value="L"), action("utter_x", 7.0)]
    found = tracker(*before, *later, event("rewind", 8.0))
    assert found["slots"]["size"] == "M" and found["latest_message"]["text"] == "hi"
    assert found["latest_action_name"] == "utter_greet"
    assert tracker(*before, *later, event("undo", 8.0))["latest_action_name"] == "action_listen"
    assert tracker(event("rewind", 1.0))["latest_message"]["text"] is None


def test_events_are_shown_as_asked() -> None:
    events = [user("hi", 1.0, "greet"), event("restart", 2.0), user("yo", 3.0, "greet"), event("rewind", 4.0)]
    asked: tuple[Include, ...] = ("NONE", "ALL", "AFTER_RESTART", "APPLIED")
    shown = {name: tracker_of("c", events, SCRIPTED, name)["events"] for name in asked}
    assert shown["NONE"] is None
    assert [len(shown[name]) for name in ("ALL", "AFTER_RESTART", "APPLIED")] == [4, 2, 0]


def test_a_form_that_got_answers_counts_once() -> None:
    again = [*FORM, featurized(6.0), event("slot", 6.5, name="size", value="L"), action("order_form", 7.0)]
    assert [each["event"] for each in applied(again)] == ["user", "action", "active_loop", "slot"]


@pytest.mark.parametrize(
    "between",
    [
        [event("action_execution_rejected", 6.0, name="order_form")],
        [action("utter_chitchat", 6.0)],
        [event("active_loop", 6.0, name=None)],
    ],
    ids=["rejected", "something else was done", "another form"],
)
def test_a_form_after_other_talk_counts_again(between: list[dict[str, Any]]) -> None:
    found = applied([*FORM, *between, action("order_form", 7.0)])
    assert found[-1] == action("order_form", 7.0)


def test_the_first_run_of_a_form_counts() -> None:
    assert len(applied([action("order_form", 1.0), event("active_loop", 2.0, name="order_form")])) == 2


@pytest.mark.slow
def test_rasa_sdk_reads_the_tracker() -> None:
    from rasa_sdk import Tracker

    tracker = Tracker.from_dict(rasa_tracker("u/1", TURN, SCRIPTED))
    assert (tracker.sender_id, tracker.get_slot("size"), tracker.active_loop_name) == ("u/1", "L", "order_form")
    assert tracker.get_intent_of_latest_message() == "greet"
    assert tracker.latest_action_name == "action_listen" and tracker.get_latest_input_channel() == "rest"
    assert tracker.last_executed_action_has("order_form")
