"""Conversations written as stories: what is told, and that what is written can be read again."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from bot.core import events as ev
from bot.core.messages import Message, Text
from bot.core.rasa.stories import Line, annotate, scalar, sessions, write_stories
from bot.core.script import Did, Gap, Heard, LoopIs, SlotWas, Uttered
from bot.project.markup import parse_markup
from bot.yaml import parse_yaml

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
tricky = st.text("[](){}\\ab:\"' #-\n", max_size=30)


def entity(text: str, start: int, end: int, type: str = "city", **rest: JsonValue) -> ev.Entity:
    span = {"type": type, "value": text[start:end], "text": text[start:end], "start": start, "end": end}
    return ev.Entity.model_validate({**span, **rest})


def story(events: Iterable[ev.Event]) -> list[tuple[Line, ...]]:
    recorded = (
        ev.Recorded(conversation="c", seq=seq, turn=1, at=0.0, event=event) for seq, event in enumerate(events, 1)
    )
    return list(sessions(recorded))


def heard(text: str, intent: str, scripted: bool = True, sure: float = 0.9) -> list[ev.Event]:
    message = Message(id="1", parts=(Text(text=text),))
    scored = (ev.Scored(name=intent, score=sure),)
    understood = ev.Understood(text=text, language="en", intents=scored, in_scope=sure)
    return [ev.Received(message=message, key="k", channel="c"), understood, *([ev.Extracted()] if scripted else [])]


def did(action: str, *effects: ev.Event) -> list[ev.Event]:
    return [ev.Predicted(action=action, policy="RulePolicy"), *effects, ev.ActionRan(action=action, key="k")]


def shown(lines: Iterable[Line]) -> str:
    return write_stories([("s", list(lines))], header=False).partition("steps:\n")[2]


BEGIN = [ev.SessionStarted()]


def test_a_turn_is_told_as_intent_actions_and_effects() -> None:
    form = did("order_form", ev.LoopChanged(loop="order_form"), ev.SlotSet(name="size", value="big"))
    (lines,) = story([*BEGIN, *heard("hi there", "greet"), *did("utter_hi"), *form, *did("action_listen")])
    assert [line.step for line in lines] == [
        Heard(intent="greet"), Did(action="utter_hi"), Did(action="order_form"), LoopIs(loop="order_form"),
        SlotWas(name="size", value="big"),
    ]  # fmt: skip
    assert lines[0].text == "hi there"


def test_a_message_that_begins_a_session_belongs_to_it() -> None:
    received, understood, extracted = heard("hi", "greet")
    (lines,) = story([received, understood, understood, *BEGIN, extracted, *did("utter_hi")])
    assert [line.step for line in lines] == [Heard(intent="greet"), Did(action="utter_hi")]


def test_what_is_not_understood_is_a_fallback() -> None:
    (lines,) = story([*BEGIN, *heard("qwx", "greet", sure=0.1)])
    assert lines[0].step == Heard(intent="nlu_fallback")


def test_the_intent_that_counted_is_told_with_its_full_name() -> None:
    said = heard("when", "faq/hours", scripted=False)
    (full,) = story([*BEGIN, *said, ev.Extracted(intent="faq")])
    (fallen,) = story([*BEGIN, *said, ev.Extracted(intent="nlu_fallback")])
    assert (full[0].step, fallen[0].step) == (Heard(intent="faq/hours"), Heard(intent="nlu_fallback"))


def test_rejected_restarted_and_reverted_things_are_left_out() -> None:
    rejected: list[ev.Event] = [ev.Predicted(action="f", policy="FormPolicy"), ev.ActionRejected(action="f")]
    back: list[ev.Event] = [ev.Predicted(action="action_back", policy="RulePolicy"), ev.Reverted()]
    undone: list[ev.Event] = [*did("utter_b"), ev.Reverted(what="action")]
    before = [*BEGIN, *heard("x", "y"), *did("utter_x"), ev.Restarted()]
    (lines,) = story([*before, *heard("a", "b"), *rejected, *did("utter_a"), *undone, *heard("c", "d"), *back])
    assert [line.step for line in lines] == [Heard(intent="b"), Did(action="utter_a")]


def test_a_rejection_from_nowhere_and_an_extraction_without_words_tell_nothing() -> None:
    assert story([*BEGIN, ev.ActionRejected(action="f"), ev.Extracted(), ev.Reverted()]) == []


def test_each_session_is_a_story() -> None:
    found = story([*BEGIN, *heard("a", "b"), *did("utter_b"), *BEGIN, *heard("c", "d")])
    assert [len(lines) for lines in found] == [2, 1]


def test_a_bot_with_flows_is_told_by_what_it_said_and_ran() -> None:
    named = Message(id="1", name="utter_a", parts=(Text(text="A"),))
    plain = Message(id="2", parts=(Text(text="B"),))
    said = [ev.ActionRan(action="find", key="k"), ev.Replied(message=named), ev.Replied(message=plain)]
    (lines,) = story([*heard("", "ask", scripted=False), ev.Transcribed(text="x", language="en", bundle="b"), *said])
    assert [line.step for line in lines[1:]] == [Did(action="find"), Did(action="utter_a"), Uttered(text="B")]


def test_what_was_understood_anew_counts() -> None:
    (lines,) = story([*heard("x", "wrong", scripted=False), heard("x", "right")[1]])
    assert [line.step for line in lines] == [Heard(intent="right")]


def test_a_slot_that_a_flow_resets_is_not_told() -> None:
    assert story([ev.SlotSet(name="a", source="reset")]) == []


def test_test_stories_show_the_words_with_their_entities() -> None:
    text = "from Rome to Oslo"
    line = Line(Heard(intent="book"), text, (entity(text, 5, 9, role="from"), entity(text, 13, 17)))
    assert shown([line]) == (
        '  - intent: book\n    user: |-\n      from [Rome]{"entity": "city", "role": "from"} to [Oslo](city)\n'
    )


def test_training_stories_show_what_was_meant() -> None:
    line = Line(Heard(intent="book"), "to Oslo", (entity("to Oslo", 3, 7),))
    text = write_stories([("s", [line])], test=False)
    assert text == 'version: "3.1"\nstories:\n- story: s\n  steps:\n  - intent: book\n    entities:\n    - city: Oslo\n'


def test_all_kinds_of_steps() -> None:
    lines = [
        Line(Heard(text="just words"), comment="predicted: greet"), Line(Did(action="utter_x"), comment="is:\ny"),
        Line(Uttered(text="Hello: you")), Line(SlotWas(name="a", value=[1, None])), Line(SlotWas(name="b", any=True)),
        Line(SlotWas(name="c", value="true")), Line(LoopIs(loop=None)), Line(Gap()), Line(Heard(intent="i")),
    ]  # fmt: skip
    assert shown(lines).splitlines() == [
        "  - user: |-  # predicted: greet", "      just words", "  - action: utter_x  # is: y",
        '  - bot: "Hello: you"', "  - slot_was_set:", "    - a: [1, null]", "  - slot_was_set:", "    - b",
        "  - slot_was_set:", '    - c: "true"', "  - active_loop: null", "  - intent: i",
    ]  # fmt: skip


def test_a_story_without_steps_is_still_yaml() -> None:
    assert parse_yaml(write_stories([("a", [])]), "s").map["stories"].plain() == [{"story": "a", "steps": []}]


# Trap 16 of the compatibility list: several extractors on one span.
def test_trap_16_several_entities_on_one_span_are_marked_together() -> None:
    both = [entity("order AB12", 6, 10, "order"), entity("order AB12", 6, 10, "code", value="ab12")]
    found = annotate("order AB12", [*both, both[0]])
    assert found == 'order [AB12][{"entity": "order"}, {"entity": "code", "value": "ab12"}]'
    assert [item.type for item in parse_markup(found).entities] == ["order", "code"]


def test_spans_that_overlap_or_lie_outside_are_left_out() -> None:
    wide, late, outside = entity("abcdef", 0, 4), entity("abcdef", 2, 6), entity("abcdefgh", 7, 8)
    assert annotate("abcdef", [late, wide, outside]) == "[abcd](city)ef"


def test_a_value_that_is_no_scalar_is_written_as_text() -> None:
    assert annotate("now", [entity("now", 0, 3, value={"to": 1})]) == (
        '[now]{"entity": "city", "value": "{\\"to\\": 1}"}'
    )


@given(st.one_of(texts, st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.lists(texts)))
def test_every_value_is_read_as_it_was_written(value: JsonValue) -> None:
    found = parse_yaml(f"- {scalar(value)}\n", "s").items[0].plain()
    assert found == value


@given(st.one_of(texts, tricky))
def test_every_text_is_read_as_it_was_written(text: str) -> None:
    line = Line(Heard(intent="i"), text)
    (found,) = parse_yaml(write_stories([("s", [line])]), "s").map["stories"].items[0].map["steps"].items
    user = found.map.get("user")
    assert parse_markup(str(user.plain()) if user else "").text == text


@given(tricky, st.data())
def test_marked_entities_are_read_as_they_were_written(text: str, data: st.DataObject) -> None:
    if not text:
        return
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    marked = parse_markup(annotate(text, [entity(text, start, end, role=data.draw(st.sampled_from([None, "r"])))]))
    assert marked.text == text
    assert [(found.start, found.end) for found in marked.entities] == [(start, end)]
