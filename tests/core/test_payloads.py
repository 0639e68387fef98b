"""Who is obeyed: buttons that were offered, and any payload only from those whose channel lets them."""

from __future__ import annotations

import pytest

from bot.core import events as ev
from bot.core.conversation import EARLIER
from bot.core.filling import read_payload
from bot.core.messages import Choice, Choices, Custom, Message, Part, Text
from bot.core.program import Program
from tests.core.talk import Talk


def understood(talk: Talk) -> ev.Understood | None:
    """What the latest message was read as; None when it was left to the classifiers."""
    found = [r.event for r in talk.log if r.turn == talk.conversation.turn and isinstance(r.event, ev.Understood)]
    return found[-1] if found and found[-1].source == "payload" else None


def offering(*parts: Part, turns: int = 1) -> Talk:
    """A conversation in which the bot has said these parts, then talked on for some turns with buttons of its own."""
    talk = Talk(Program())
    talk.receive("hi")
    talk.add(ev.Replied(message=Message(id="1.1", parts=parts)), ev.Settled(outcome="replied"))
    for number in range(2, turns + 1):
        talk.receive("on")
        later = Choices(options=(Choice(title="Later", payload=f"/later{number}"),))
        talk.add(ev.Replied(message=Message(id=f"{number}.1", parts=(later,))), ev.Settled(outcome="replied"))
    return talk


YES = Choices(options=(Choice(title="Yes", payload='/confirm{"sure": "y"}'),))


@pytest.mark.parametrize("turns", [1, 2, 5])
def test_a_button_of_ours_is_obeyed_however_late(turns: int) -> None:
    talk = offering(Text(text="Sure?"), YES, turns=turns)
    talk.say('/confirm{"sure": "y"}')
    found = understood(talk)
    assert found is not None
    assert (found.intents[0].name, found.entities[0].value) == ("confirm", "y")


def test_the_title_of_a_button_counts_only_while_it_is_new() -> None:
    fresh, stale = offering(YES), offering(YES, turns=2)
    fresh.say("yes")
    stale.say("yes")
    assert (understood(fresh) is not None, understood(stale)) == (True, None)


def test_old_buttons_are_forgotten_at_last() -> None:
    talk = offering(YES, turns=EARLIER + 3)
    assert len(talk.conversation.earlier) == EARLIER
    talk.say('/confirm{"sure": "y"}')
    assert understood(talk) is None


def test_payloads_inside_custom_content_are_offered() -> None:
    data = {"type": "rating", "options": [{"value": 5, "payload": "/rate{}"}], "link": "https://shop.example"}
    talk = offering(Custom(data={**data, "more": None}))
    talk.say("/rate{}")
    found = understood(talk)
    assert found is not None and found.intents[0].name == "rate"


@pytest.mark.parametrize("text", ["/restart", "/session_start", '/confirm{"sure": "n"}', "/"])
def test_what_was_not_offered_is_words(text: str) -> None:
    talk = offering(YES)
    talk.say(text)
    assert understood(talk) is None


@pytest.mark.parametrize("text", ['/book@0.5{"to": "Rome"}', '/book@0.5{{"to": "Rome"}}'])
def test_trap_8_a_channel_may_let_any_payload_through_in_single_or_double_braces(text: str) -> None:
    talk = Talk(Program())
    talk.add(ev.Received(message=Message(id="u", parts=(Text(text=text),)), key="k", channel="rest", payloads=True))
    talk.run()
    found = understood(talk)
    assert found is not None
    assert [(i.name, i.score) for i in found.intents] == [("book", 0.5)]
    assert [(e.type, e.value) for e in found.entities] == [("to", "Rome")]


def test_words_stay_words_where_payloads_are_let_through() -> None:
    talk = Talk(Program())
    talk.add(ev.Received(message=Message(id="u", parts=(Text(text="hello"),)), key="k", channel="rest", payloads=True))
    talk.run()
    assert understood(talk) is None


@pytest.mark.parametrize(("written", "score"), [("", 1.0), ("@0.25", 0.25), ("@7", 1.0), ("@1.2.3", 1.0)])
def test_the_confidence_of_a_payload(written: str, score: float) -> None:
    found = read_payload(Choice(title="T", payload=f"/book{written}"))
    assert found is not None and found.intents[0].score == score
