"""Our facts told as Rasa's events: order, keys and types."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core import events as ev
from bot.core.messages import Audio, Card, Choice, Choices, Custom, File, Image, Part, Text
from bot.core.program import Program
from bot.core.rasa.events import bot_data, fresh_session, rasa_events
from tests.core.rasa.wire import (
    DATA,
    LISTENS,
    PLAIN,
    SCRIPTED,
    action,
    bot,
    chosen,
    event,
    featurized,
    history,
    ran,
    received,
    said,
    understood,
    user,
)

START = (ev.Started(channel="rest", sender="s"), received(), understood())


def told(*events: ev.Event, program: Program = SCRIPTED) -> list[dict[str, Any]]:
    return rasa_events(history(*events), program)


def names(events: list[dict[str, Any]]) -> list[str]:
    return [each.get("name") or each["event"] for each in events]


def test_a_first_turn_is_told_key_for_key() -> None:
    found = told(
        *START,
        ev.SessionStarted(),
        ev.SlotSet(name="session_started_metadata", value={"a": 1}, source="reset"),
        ev.Extracted(intent="greet"),
        ev.SlotSet(name="size", value="L"),
        chosen("utter_greet", candidates=(ev.Scored(name="utter_greet", score=0.8),)),
        said(Text(text="Hello"), name="utter_greet"),
        ran("utter_greet"),
        *LISTENS,
    )
    message = user("hi", 2.0, "greet", text_tokens=[[0, 2]], message_id="k")
    assert found == [
        action("action_session_start", 2.0, None),
        event("session_started", 2.0),
        event("slot", 2.0, name="session_started_metadata", value={"a": 1}),
        action("action_listen", 2.0, None, None),
        message | {"message_id": "k"},
        event("slot", 7.0, name="size", value="L"),
        featurized(8.0),
        action("utter_greet", 8.0, "RulePolicy", 0.8),
        bot("Hello", 9.0, "utter_greet"),
        action("action_listen", 11.0),
    ]


def test_what_a_projects_own_session_start_says_comes_before_the_message() -> None:
    own = (ev.SessionStarted(), ran("action_session_start"), said(Text(text="Welcome")))
    found = told(*START, *own, ev.Extracted(), chosen("utter_x"), ran("utter_x"), *LISTENS)
    assert names(found)[:6] == ["action_session_start", "session_started", "bot", "action_listen", "user",
                                "user_featurization"]  # fmt: skip


def test_a_session_that_the_script_chose_is_told_where_it_happened() -> None:
    found = told(*START, ev.Extracted(), chosen("action_session_start", "Followup"), ev.SessionStarted(),
                 ran("action_session_start"), *LISTENS)  # fmt: skip
    assert names(found) == ["user", "action_session_start", "session_started", "user_featurization", "action_listen"]


def test_a_session_under_way_is_told_before_the_message_is_looked_at() -> None:
    assert names(told(*START, ev.SessionStarted())) == ["action_session_start", "session_started", "action_listen",
                                                        "user"]  # fmt: skip


def test_what_is_pending_has_not_happened_yet() -> None:
    found = told(*START, ev.Extracted(), chosen("order_form"), ev.LoopChanged(loop="order_form"),
                 ev.SlotSet(name="size", value="L"), ran("validate_order_form"))  # fmt: skip
    assert names(found) == ["user", "user_featurization", "order_form", "size"]
    assert found[2]["event"] == "active_loop"


def test_an_action_comes_before_what_it_brought() -> None:
    found = told(*START, ev.Extracted(), chosen("a"), ev.LoopChanged(loop="order_form"), ran("a"), chosen("b"),
                 ran("b"), ev.LoopChanged(loop=None), *LISTENS)  # fmt: skip
    assert [each["event"] for each in found[2:]] == ["action", "active_loop", "action", "active_loop", "action"]


def test_a_rejected_action_names_who_chose_it() -> None:
    found = told(*START, ev.Extracted(), chosen("order_form"), ev.ActionRejected(action="order_form"),
                 ev.ActionRejected(action="other"), *LISTENS)  # fmt: skip
    rejected = {"name": "order_form", "policy": "RulePolicy", "confidence": 1.0}
    assert found[2] == event("action_execution_rejected", 6.0, **rejected)
    assert found[3] == event("action_execution_rejected", 7.0, name="other", policy=None, confidence=None)


def test_an_action_that_failed_leaves_what_was_said() -> None:
    found = told(*START, ev.Extracted(), chosen("a"), ev.Failed(code="x", stage="action"), said(Text(text="Sorry")),
                 ev.Settled(outcome="failed"))  # fmt: skip
    assert names(found) == ["user", "user_featurization", "bot", "action_listen"]


def test_messages_that_wait_are_told_when_their_turn_begins() -> None:
    done = ev.Settled(outcome="replied")
    found = told(*START, received("more", "k2"), said(Text(text="a")), done, understood(text="more"),
                 said(Text(text="b")), done, program=PLAIN)  # fmt: skip
    assert [each.get("text") or each["name"] for each in found] == ["hi", "a", "action_listen", "more", "b",
                                                                    "action_listen"]  # fmt: skip


def test_an_action_outside_of_turns_is_told_at_once() -> None:
    by_hand = chosen("utter_x", "External", reason="import")
    found = told(by_hand, ran("utter_x"), said(Text(text="hi"), name="utter_x"))
    assert found[0] == event("action", 1.0, name="utter_x", policy=None, confidence=None, action_text=None,
                             hide_rule_turn=False) | {"metadata": {"model_id": "", "assistant_id": "a1"}}  # fmt: skip
    assert names(found) == ["utter_x", "bot"]


def test_flows_tell_responses_and_actions_once_each() -> None:
    found = told(*START, ev.Predicted(action="start_flow"), ran("action_find", "s1"),
                 said(Text(text="found"), name="utter_found", step="s1"),
                 said(Text(text="more"), name="utter_more", step="s2"), said(Text(text="from a book")),
                 ev.Settled(outcome="replied"), program=PLAIN)  # fmt: skip
    assert names(found) == ["user", "action_find", "bot", "utter_more", "bot", "bot", "action_listen"]
    assert found[1]["policy"] is None


def test_a_message_from_outside_says_what_it_means() -> None:
    triggered = understood("remind", "", source="external", entities=(ev.Entity(type="t", value=1, text="1", start=0,
                                                                                end=0),))  # fmt: skip
    found = told(received("", is_external=True), triggered)
    assert found[0]["text"] == found[0]["parse_data"]["text"] == "EXTERNAL: remind"
    assert found[0]["parse_data"]["intent"] == {"name": "remind", "confidence": 0.9}
    assert found[0]["metadata"]["is_external"] is True
    assert set(found[0]["parse_data"]) == {"intent", "entities", "text", "message_id", "metadata"}


def test_a_message_not_understood_yet_has_no_intent() -> None:
    (found,) = told(received())
    assert found["parse_data"] == {"intent": {}, "entities": [], "text": "hi", "message_id": "k", "metadata": {}}


PLAIN_FACTS: list[tuple[ev.Event, str, dict[str, Any]]] = [
    (ev.SlotSet(name="size", value=None), "slot", {"name": "size", "value": None}),
    (ev.LoopChanged(loop="f"), "active_loop", {"name": "f"}),
    (ev.LoopInterrupted(), "loop_interrupted", {"is_interrupted": True}),
    (ev.FollowUp(action="a"), "followup", {"name": "a"}),
    (ev.Paused(), "pause", {}),
    (ev.Paused(paused=False), "resume", {}),
    (ev.HandedOff(reason="r"), "pause", {}),
    (ev.Resumed(by="b"), "resume", {}),
    (ev.Ended(), "session_ended", {}),
    (ev.SessionStarted(), "session_started", {}),
    (ev.Restarted(), "restart", {}),
    (ev.SlotsReset(), "reset_slots", {}),
    (ev.Reverted(), "rewind", {}),
    (ev.Reverted(what="action"), "undo", {}),
    (ev.ReminderCancelled(name="n"), "cancel_reminder", {"name": "n", "intent": None, "entities": None}),
    (
        ev.ReminderSet(name="n", intent="i", due=1_900_000_000.5, cancelled_by_message=False),
        "reminder",
        {"intent": "i", "date_time": "2030-03-17T17:46:40.500000+00:00", "entities": None, "name": "n",
         "kill_on_user_msg": False},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fact", "kind", "fields"), PLAIN_FACTS, ids=[kind for _, kind, _ in PLAIN_FACTS])
def test_a_fact_has_its_event(fact: ev.Event, kind: str, fields: dict[str, Any]) -> None:
    ids = {"metadata": {"model_id": "", "assistant_id": "a1"}}
    assert told(fact) == [event(kind, 1.0, **fields) | ids]


def test_facts_that_rasa_does_not_know_are_left_out() -> None:
    assert told(ev.FollowUp(), ev.Rated(message="m", score=1.0), ev.Erased(events=3)) == []


def test_foreign_facts_come_out_as_they_came() -> None:
    data: dict[str, Any] = {"timestamp": 0.5, "x": 1, "metadata": {"model_id": "old"}}
    (found,) = told(ev.Foreign(name="agent", data=data))
    assert found == {"event": "agent", "timestamp": 0.5, "x": 1, "metadata": {"model_id": "old", "assistant_id": "a1"}}


def test_a_foreign_fact_without_a_name_adds_to_the_event_before() -> None:
    more = ev.Foreign(name="", data={"hide_rule_turn": True})
    deep = ev.Foreign(name="", data={"data": {"custom": {"a": 1}}})
    found = told(more, *START, chosen("a"), more, said(Text(text="x")), deep, ran("a"))
    assert found[-2]["hide_rule_turn"] is True
    assert found[-1]["data"] == DATA | {"custom": {"a": 1}}


def test_imported_turns_get_nothing_added() -> None:
    listens = chosen("action_listen", reason="import")
    assert names(told(received(), listens, ev.Settled(outcome="unanswered"))) == ["user", "action_listen"]
    assert names(told(received(), ev.Settled(outcome="unanswered"))) == ["user"]


def test_the_assistant_of_an_imported_message_is_kept() -> None:
    found = told(ev.Restarted(), received(assistant_id="old", model_id="m0"))
    assert found[0]["metadata"]["assistant_id"] == "old"
    assert found[1]["metadata"] == {"model_id": "m0", "assistant_id": "old"}


def test_a_conversation_in_which_nothing_happened_is_a_fresh_session() -> None:
    assert names(fresh_session(1.0, SCRIPTED, "m1")) == ["action_session_start", "session_started", "action_listen"]
    assert fresh_session(1.0, SCRIPTED, "m1")[2] == action("action_listen", 1.0, None, None)


YES = Choice(title="Yes", payload="/yes")
BUTTON = {"title": "Yes", "payload": "/yes"}
PARTS: list[tuple[tuple[Part, ...], list[tuple[str | None, dict[str, Any]]]]] = [
    ((), [(None, {})]),
    ((Text(text="a"), Choices(options=(YES,))), [("a", {"buttons": [BUTTON]})]),
    ((Text(text="a"), Text(text="b")), [("a", {}), ("b", {})]),
    ((Image(url="u"), Image(url="v")), [(None, {"image": "u"}), (None, {"image": "v"})]),
    ((Card(title="T", subtitle="S", options=(YES,)), Card(title="U", url="u")),
     [(None, {"elements": [{"title": "T", "subtitle": "S", "buttons": [BUTTON]}, {"title": "U", "url": "u"}]})]),
    ((Custom(data={"a": 1}),), [(None, {"custom": {"a": 1}})]),
    ((Custom(data={"attachment": {"type": "x"}}),), [(None, {"attachment": {"type": "x"}})]),
    ((File(name="n", url="u"),), [(None, {"attachment": {"type": "file", "payload": {"title": "n", "src": "u"}}})]),
    ((Audio(blob="b"),), [(None, {"attachment": {"type": "file", "payload": {"title": None, "src": None}}})]),
    ((Choices(options=(Choice(title="Go", url="u"),)),),
     [(None, {"buttons": [{"title": "Go", "payload": "", "type": "web_url", "url": "u"}]})]),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "expected"), PARTS)
def test_a_message_is_text_and_data(parts: tuple[Part, ...], expected: list[tuple[str | None, dict[str, Any]]]) -> None:
    assert bot_data(said(*parts).message) == [(text, DATA | data) for text, data in expected]
