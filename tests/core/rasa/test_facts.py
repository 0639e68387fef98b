"""Rasa's events as our facts, and back again: nothing is lost on the way."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core import events as ev
from bot.core.conversation import Conversation, fold
from bot.core.errors import InputError
from bot.core.messages import Card, Choice, Choices, Custom, Image, Text
from bot.core.program import Program
from bot.core.rasa.events import BOT_DATA, rasa_events
from bot.core.rasa.facts import KNOWN, facts, read_parts, records
from tests.core.rasa.wire import IDS, SCRIPTED, action, bot, event, featurized, history, received, user

NEW = Conversation(id="c")


def back(events: list[dict[str, Any]], program: Program = SCRIPTED) -> list[dict[str, Any]]:
    """Through our facts and back."""
    return rasa_events(list(records(events, NEW, 1.0)), program)


SAMPLES: list[dict[str, Any]] = [
    event("user", 1.0, text="hi", parse_data={"intent": {"name": "greet", "confidence": 0.5}, "entities": []},
          input_channel="rest", message_id="m"),
    bot("Hello", 1.0, "utter_greet", buttons=[{"title": "a", "payload": "/a"}]),
    bot(None, 1.0, custom={"a": [1]}, image="u"),
    bot("x", 1.0) | {"metadata": {"model_id": "m1", "assistant_id": "a1", "utter_action": "u", "more": 1}},
    action("utter_greet", 1.0),
    action("utter_greet", 1.0, None, None),
    action("utter_greet", 1.0) | {"hide_rule_turn": True},
    action("action_listen", 1.0, None, None),
    action("action_session_start", 1.0, None),
    event("action", 1.0, name=None, action_text="Hello", policy="TEDPolicy", confidence=0.4, hide_rule_turn=False),
    event("slot", 1.0, name="size", value={"a": [1, None]}),
    event("restart", 1.0),
    event("session_started", 1.0),
    event("session_ended", 1.0),
    event("rewind", 1.0),
    event("undo", 1.0),
    event("reset_slots", 1.0),
    event("pause", 1.0),
    event("resume", 1.0),
    event("followup", 1.0, name="utter_x"),
    event("active_loop", 1.0, name="f"),
    event("active_loop", 1.0, name=None),
    event("loop_interrupted", 1.0, is_interrupted=True),
    event("action_execution_rejected", 1.0, name="f", policy="RulePolicy", confidence=1.0),
    event("reminder", 1.0, intent="i", date_time="2030-01-01T08:00:00+00:00", entities=None, name="n",
          kill_on_user_msg=True),
    event("reminder", 1.0, intent="i", date_time="2030-01-01T08:00:00+01:00", entities=[{"entity": "a", "value": "b"}],
          name="n", kill_on_user_msg=False),
    event("cancel_reminder", 1.0, name="n", intent=None, entities=None),
    event("cancel_reminder", 1.0, name=None, intent="i", entities={"a": "b"}),
    event("entities", 1.0, entities=[{"entity": "a"}]),
    featurized(1.0),
    event("export", 1.0, path="x"),
    event("agent", 1.0, text="hi", data={"a": 1}),
    event("stack", 1.0, update="[]"),
    event("flow_started", 1.0, flow_id="f"),
    event("made_up_by_somebody", 1.0, x={"y": 1}),
]  # fmt: skip


def contains(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; keys may have been added."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(contains(found.get(key), value) for key, value in wanted.items())
    return bool(found == wanted)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample['event']}-{sample.get('name')}")
def test_an_event_survives_the_way_there_and_back(sample: dict[str, Any]) -> None:
    (found,) = back([sample])
    own = {"metadata": {key: value for key, value in sample["metadata"].items() if key not in IDS}}
    assert contains(found, sample | own)


def test_every_type_of_event_is_tried() -> None:
    legacy = {"form", "form_validation", "flow_interrupted", "flow_resumed", "flow_completed", "flow_cancelled"}
    assert KNOWN - {sample["event"] for sample in SAMPLES} == legacy


LOG = [
    action("action_session_start", 1.0, None), event("session_started", 1.1), action("action_listen", 1.2, None, None),
    user("hi", 2.0, "greet"), event("slot", 2.1, name="size", value="L"), featurized(2.2),
    action("utter_greet", 2.3) | {"hide_rule_turn": True}, bot("Hello", 2.4, "utter_greet"),
    action("action_listen", 2.5),
    user("order", 3.0, "order"), featurized(3.1), action("order_form", 3.2), event("active_loop", 3.3,
                                                                                 name="order_form"),
    event("slot", 3.4, name="requested_slot", value="size"), bot("Which size?", 3.5), action("action_listen", 3.6),
    user("hm", 4.0, "nlu_fallback"), featurized(4.1),
    event("action_execution_rejected", 4.2, name="order_form", policy="RulePolicy", confidence=1.0),
    action("action_default_fallback", 4.3, "RulePolicy", 0.3), event("rewind", 4.4), action("action_listen", 4.5),
    action("utter_by_hand", 5.0, None, None), bot("By hand", 5.1),
]  # fmt: skip


def test_a_whole_log_comes_back_in_order() -> None:
    assert back(LOG) == LOG


def test_what_was_imported_has_the_state_of_a_live_conversation() -> None:
    state = fold("c", records(LOG, NEW, 1.0))
    assert state.slots == {"size": "L", "requested_slot": "size"}
    assert state.track.loop is not None and state.track.loop.name == "order_form"
    assert state.current is None and state.sender == "c" and state.channel == ""
    assert [fact.event.outcome for fact in records(LOG, NEW, 1.0) if isinstance(fact.event, ev.Settled)] == [
        "replied", "replied", "unanswered"]  # fmt: skip


def test_what_is_done_by_hand_is_part_of_the_story_and_the_next_message_is_waited_for() -> None:
    by_hand = action("utter_by_hand", 5.0, None, None)
    said = user("yes", 6.0, "affirm")
    for log in ([*LOG[:9], by_hand, said], [*LOG[:9], by_hand, action("action_listen", 5.5, None, None), said]):
        states = fold("c", records(log, NEW, 1.0)).track.states
        assert [state.action for state in states[-2:]] == ["action_listen", "utter_by_hand"]
        assert back(log) == log


def test_turns_that_rasa_did_not_close_are_closed_and_told_as_they_were() -> None:
    log = [user("a", 1.0, "greet"), bot("b", 1.5), user("c", 2.0, "greet"), action("utter_x", 2.5),
           event("session_started", 3.0), user("d", 4.0, "greet")]  # fmt: skip
    state = fold("c", records(log, NEW, 1.0))
    assert state.current is None and state.turn == 3
    assert back(log) == log


def test_without_times_events_keep_their_order() -> None:
    log = [event("slot", 5.0, name="a", value=1), event("slot", 5.0, name="b") | {"timestamp": None},
           event("slot", 2.0, name="c")]  # fmt: skip
    assert [fact.at for fact in records(log, NEW, 9.0)] == [5.0, 5.0, 5.0, 5.0]
    assert [fact.at for fact in records(log[1:2], NEW, 9.0)] == [9.0, 9.0]


def test_message_ids_are_made_unique_and_made_up_where_there_are_none() -> None:
    same = user("a", 1.0, "greet") | {"message_id": "m"}
    none = user("b", 2.0, "greet", message_id=None) | {"message_id": None}
    found = [fact.event for fact in records([same, same, none, none], NEW, 1.0, {"m"})]
    keys = [fact.key for fact in found if isinstance(fact, ev.Received)]
    assert keys[:2] == ["m.2", "m.3"] and keys[2].startswith("rasa-") and keys[3] == keys[2] + ".2"


def test_a_history_goes_on_from_what_is_there() -> None:
    there = history(ev.Started(channel="rest", sender="s"), received(), ev.Settled(outcome="unanswered"))
    found = list(records(LOG, fold("c", there), 1.0, {"k"}))
    assert fold("c", [*there, *found]).turn == 4
    assert found[0].seq == 4 and found[0].at == 3.0


def test_the_channel_can_be_given() -> None:
    (started, *_) = records([event("restart", 1.0)], NEW, 1.0, channel="slack")
    assert started.event == ev.Started(channel="slack", sender="c")


BROKEN: list[tuple[Any, str]] = [
    ({}, "its type in 'event'"),
    ({"event": 5}, "its type in 'event'"),
    ({"event": "slot"}, "'name' is missing"),
    ({"event": "slot", "name": 5}, "valid string"),
    ({"event": "reminder", "intent": "i", "date_time": "soon"}, "valid"),
    ({"event": "reminder", "intent": "i"}, "'date_time' is missing"),
    ({"event": "action", "name": "a", "confidence": "much"}, "float"),
    ({"event": "user", "parse_data": [1]}, "'parse_data' must be an object"),
]


@pytest.mark.parametrize(("broken", "why"), BROKEN)
def test_what_cannot_be_read_is_explained(broken: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        facts(broken)


def test_old_names_mean_the_new_events() -> None:
    assert facts({"event": "form", "name": "f"}) == (ev.LoopChanged(loop="f"),)
    assert facts({"event": "form_validation", "validate": False})[0] == ev.LoopInterrupted(interrupted=True)


def test_a_message_keeps_what_was_understood() -> None:
    city = {"entity": "city", "start": 3, "end": 7, "value": "bonn", "role": "to", "confidence_entity": 0.7,
            "extractor": "DIETClassifier"}  # fmt: skip
    found = facts(user("in Bonn", 1.0, "inform", [city]))
    understood = found[1]
    assert isinstance(understood, ev.Understood) and understood.accepted
    assert (understood.text, understood.bundle, understood.source) == ("in Bonn", "m1", "model")
    (entity,) = understood.entities
    assert (entity.text, entity.value, entity.role, entity.confidence) == ("Bonn", "bonn", "to", 0.7)


@pytest.mark.parametrize(
    ("told", "source"),
    [
        (user("/greet", 1.0, "greet"), "payload"),
        (user("EXTERNAL: greet", 1.0, "greet"), "external"),
        (user("", 1.0, "greet") | {"metadata": {"is_external": True}}, "external"),
    ],
)
def test_a_message_keeps_where_it_came_from(told: dict[str, Any], source: str) -> None:
    received, understood, *_ = facts(told)
    assert isinstance(understood, ev.Understood) and understood.source == source
    assert isinstance(received, ev.Received) and bool(received.metadata.get("is_external")) == (source == "external")


@pytest.mark.parametrize("confidence", [0.2, 0.8])
def test_a_message_that_was_not_understood_stays_so(confidence: float) -> None:
    ranking = [{"name": "nlu_fallback", "confidence": confidence}, {"name": "greet", "confidence": 0.1}]
    told = user("hm", 1.0, "nlu_fallback", intent_ranking=ranking)
    understood = facts(told)[1]
    assert isinstance(understood, ev.Understood) and not understood.accepted
    assert back([told])[0]["parse_data"]["intent_ranking"][0]["confidence"] == pytest.approx(confidence)


def test_a_message_without_parse_data_was_not_understood() -> None:
    assert len(facts({"event": "user", "text": "hi"})) == 1


def test_parts_of_a_message() -> None:
    button = {"title": "Go", "payload": "/go", "url": "u"}
    element = {"title": "T", "subtitle": "S", "image_url": "i", "buttons": [button]}
    go = Choice(title="Go", payload="/go", url="u")
    data = {"image": "i", "elements": [element, "no object"], "attachment": {"type": "t"}, "custom": [1],
            "buttons": [button], "quick_replies": [{}]}  # fmt: skip
    assert read_parts("hi", data) == (
        Text(text="hi"),
        Image(url="i"),
        Card(title="T", subtitle="S", image_url="i", options=(go,)),
        Custom(data={"attachment": {"type": "t"}}),
        Custom(data={"data": [1]}),
        Choices(options=(go, Choice(title=""))),
    )
    assert read_parts(None, {"image": "i", "attachment": "i"}) == (Image(url="i"),)


json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(SAMPLES + LOG), max_size=12))
def test_any_order_of_events_is_a_legal_history_that_loses_none(samples: list[dict[str, Any]]) -> None:
    found = back([{**sample, "timestamp": None} for sample in samples])
    assert [each["event"] for each in found] == [sample["event"] for sample in samples]
    assert [each.get("name") for each in found] == [sample.get("name") for sample in samples]


@settings(max_examples=60)
@given(st.sampled_from(sorted(KNOWN)), st.dictionaries(st.sampled_from(["name", "value", "text", "intent", "data",
       "parse_data", "metadata", "entities", "date_time", "confidence", *BOT_DATA]), json))  # fmt: skip
def test_any_object_is_read_or_refused(kind: str, fields: dict[str, Any]) -> None:
    try:
        found = facts({"event": kind, **fields})
    except InputError:
        return
    assert found
