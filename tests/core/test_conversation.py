"""The fold: what histories are legal and what they lead to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core import events as ev
from bot.core.conversation import HISTORY, Conversation, evolve, fold
from bot.core.errors import IllegalHistory
from bot.core.events import Recorded
from bot.core.messages import Message, Text
from tests.core.talk import Talk, entity, hit, program

WORDS = Message(id="m", parts=(Text(text="hi"),))
STARTED = ev.Started(channel="web", sender="s")
RECEIVED = ev.Received(message=WORDS, key="k", channel="web")
REPLIED = ev.Replied(message=WORDS)


def history(*events: ev.Event, turns: tuple[int, ...] = ()) -> list[Recorded]:
    numbers = turns or tuple(0 if isinstance(e, ev.Started) else 1 for e in events)
    return [
        Recorded(conversation="c", seq=i, turn=turn, at=float(i), event=event)
        for i, (event, turn) in enumerate(zip(events, numbers, strict=True), start=1)
    ]


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ((RECEIVED,), "has not started"),
        ((STARTED, STARTED), "has started already"),
        ((STARTED, ev.Erased(events=1), RECEIVED), "has not started"),
        ((STARTED, ev.Settled(outcome="replied")), "turn 1 is not open"),
        ((STARTED, RECEIVED, ev.Settled(outcome="replied")), "shown the user nothing"),
        ((STARTED, ev.FlowLeft(flow="f")), "not on top"),
        ((STARTED, ev.FlowEntered(flow="g"), ev.Asked(slot="s", flow="f", step="x")), "not on top"),
        ((STARTED, ev.Corrected(target=3)), "turn 3 has not happened"),
        ((STARTED, RECEIVED, RECEIVED), "turn 2 was expected"),
    ],
)
def test_illegal_histories_name_kind_conversation_and_seq(events: tuple[ev.Event, ...], why: str) -> None:
    with pytest.raises(IllegalHistory, match=why) as caught:
        fold("c", history(*events))
    assert (caught.value.kind, caught.value.conversation, caught.value.seq) == (events[-1].kind, "c", len(events))


def test_a_gap_and_a_stranger_are_refused() -> None:
    first = history(STARTED)[0]
    with pytest.raises(IllegalHistory, match="event 1 was expected"):
        evolve(Conversation(id="c"), first.model_copy(update={"seq": 2}))
    with pytest.raises(IllegalHistory, match="offered to conversation 'd'"):
        evolve(Conversation(id="d"), first)


def test_messages_that_come_during_a_turn_wait_in_order() -> None:
    events = (STARTED, RECEIVED, RECEIVED, RECEIVED, REPLIED, ev.Settled(outcome="replied"))
    state = fold("c", history(*events, turns=(0, 1, 2, 3, 1, 1)))
    assert state.current is not None
    assert (state.current.number, [turn.number for turn in state.waiting], state.turn) == (2, [3], 3)


def test_a_message_reopens_an_ended_conversation() -> None:
    state = fold("c", history(STARTED, ev.SlotSet(name="a", value=1), ev.Ended(), RECEIVED))
    assert (state.status, state.slots) == ("active", {})


def test_erasing_leaves_only_the_counters() -> None:
    state = fold("c", history(STARTED, RECEIVED, ev.Erased(events=2), STARTED, turns=(0, 1, 1, 1)))
    assert (state.status, state.turn, state.seq, state.history) == ("active", 1, 4, ())


def test_facts_for_others_change_nothing() -> None:
    facts = (
        ev.Delivered(message="m", channel="slack"),
        ev.Interrupted(message="m", heard="h"),
        ev.Rated(message="m", score=1),
    )
    state = fold("c", history(STARTED, *facts, turns=(0, 0, 0, 0)))
    assert state == Conversation(id="c", seq=4, at=3.0, status="active", channel="web", sender="s")


def test_speech_replaces_the_text_of_its_turn() -> None:
    state = fold("c", history(STARTED, RECEIVED, ev.Transcribed(text="spoken", language="en", bundle="b")))
    assert state.current is not None
    assert state.current.text == "spoken"


def test_a_turn_counts_the_processes_that_ended_in_it() -> None:
    state = fold("c", history(STARTED, RECEIVED, ev.Retried(), ev.Retried(), turns=(0, 1, 1, 1)))
    assert state.current is not None
    assert state.current.retries == 2


def test_replies_outside_a_turn_are_remembered() -> None:
    state = fold("c", history(STARTED, REPLIED, turns=(0, 0)))
    assert (state.history, state.current) == ((("bot", "hi"),), None)


def test_a_slot_set_without_a_flow_is_only_a_slot() -> None:
    state = fold("c", history(STARTED, ev.SlotSet(name="a", value=1), turns=(0, 0)))
    assert (state.slots, state.stack) == ({"a": 1}, ())
    again = fold("c", history(STARTED, ev.HandedOff(reason="r", step="s"), turns=(0, 0)))
    assert again.status == "handed_off"


def test_the_state_does_not_grow_with_the_conversation() -> None:
    talk = Talk(program(), hits=[hit("text", 0.9)])
    for _ in range(60):
        talk.say("hi", "greet")
    assert HISTORY <= len(talk.conversation.history) <= 2 * HISTORY
    assert talk.conversation.stack == ()


def test_two_buttons_messages_of_one_turn_are_both_offered() -> None:
    def buttons(*names: str) -> ev.Replied:
        options = [{"title": name, "payload": f"/{name}"} for name in names]
        parts = [{"kind": "choices", "options": options}]
        return ev.Replied(message=Message.model_validate({"id": "m", "parts": parts}))

    state = fold("c", history(STARTED, RECEIVED, buttons("a"), buttons("b", "c")))
    assert [choice.title for choice in state.offered] == ["a", "b", "c"]


TURNS = st.lists(
    st.sampled_from(
        ["greet", "order_status", "change_address", "cancel", "talk_to_person", "affirm", "", "5", "/resume_bot"]
    ),
    max_size=12,
)


@given(TURNS)
def test_every_prefix_can_be_resumed_and_every_turn_ends_in_one_outcome(turns: list[str]) -> None:
    """Crash anywhere: folding what is stored and asking again gives the same step as before."""
    talk = Talk(program(), {"action_find": RuntimeError("down")})
    for said in turns:
        spans = [entity("order_id", "48213")] if said == "5" else []
        talk.say(said or "words", *([said] if said.isalpha() or "_" in said else []), entities=spans)
    assert fold("c", talk.log) == talk.conversation
    for number in range(1, len(turns) + 1):
        kinds = talk.kinds(number)
        assert kinds.count("settled") == 1 and kinds[-1] == "settled" and "replied" in kinds


def test_word_about_an_earlier_message_does_not_end_a_silence() -> None:
    said = (STARTED, RECEIVED, REPLIED, ev.Settled(outcome="replied"))
    aside = (ev.Delivered(message="m", channel="web"), ev.Rated(message="m", score=1))
    assert fold("c", history(*said, *aside)).at == fold("c", history(*said)).at == 4.0


def test_a_word_about_consent_changes_nothing_that_is_decided_on() -> None:
    events = (STARTED, RECEIVED, REPLIED, ev.Settled(outcome="replied"))
    before = fold("c", history(*events))
    after = fold("c", history(*events, ev.Consented(train=False)))
    assert after == before._replace(seq=before.seq + 1)
