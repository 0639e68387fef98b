"""What the person who takes over reads."""

from __future__ import annotations

from bot.core import events as ev
from bot.core.events import Entity
from bot.core.summary import summary
from tests.core.talk import Talk
from tests.core.test_policy import shop


def told(talk: Talk) -> list[str]:
    found = talk.last(ev.HandedOff)
    assert isinstance(found, ev.HandedOff)
    return found.summary.split("\n")


def test_a_task_under_way_is_told_with_what_it_asked_for() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    assert summary(talk.conversation, talk.program).split("\n") == [
        "Going on: Order status, asked for order id",
        "Customer: where is my order",
        "Bot: which order?",
    ]


def test_the_fact_of_a_hand_over_holds_what_is_known_and_was_said() -> None:
    talk = shop()
    number = Entity(type="order_id", value="48213", text="48213", start=9, end=14)
    talk.say("where is 48213", "order_status", entities=[number])
    talk.say("a person please", "talk_to_person")
    lines = told(talk)
    assert lines[0] == "Done last: Order status"
    assert lines[1] == "Known: status on its way"
    assert lines[2:] == ["Customer: where is 48213", "Customer: a person please", "Bot: 48213 is on its way"]


def test_failures_to_answer_are_counted_and_long_words_cut() -> None:
    talk = shop()
    for _ in range(2):
        talk.say("w " * 300, in_scope=0.0)
    state = talk.conversation._replace(misses=2)
    lines = summary(state, talk.program).split("\n")
    assert lines[0] == "No answer found: 2 times in a row"
    assert all(len(line) <= 210 for line in lines) and lines[1].endswith("…")


def test_a_flow_that_the_program_has_no_more_is_named_as_it_was() -> None:
    talk = shop()
    talk.say("where is my order", "order_status")
    bare = talk.program.model_copy(update={"flows": {}})
    assert summary(talk.conversation, bare).startswith("Going on: order_status, asked for")
    done = talk.conversation._replace(stack=talk.conversation.stack[:0], last_flow="gone")
    assert summary(done, bare).startswith("Customer: ")
    idle = talk.conversation.stack[0]._replace(slot=None)
    assert "asked" not in summary(talk.conversation._replace(stack=(idle,)), talk.program).split("\n")[0]
