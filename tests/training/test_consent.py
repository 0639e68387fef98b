"""Whose words may be learned from."""

from __future__ import annotations

import pytest

from bot.config import PrivacySettings
from bot.core import events as ev
from bot.core.messages import Message, Text
from training.consent import DAY, Permission, cleared, permitted

OPT_IN = PrivacySettings(train="opt-in")
OPT_OUT = PrivacySettings()
NO, YES = ev.Consented(train=False), ev.Consented(train=True)


def talk(name: str, sender: str, *more: ev.Event, at: float = 0.0, position: int = 0) -> list[ev.Recorded]:
    words = Message(id="m", parts=(Text(text="my mail is kim@example.org"),))
    events = (ev.Started(channel="web", sender=sender), ev.Received(message=words, key="k", channel="web"), *more)
    return [
        ev.Recorded(conversation=name, seq=n, turn=min(1, n - 1), at=at + n, event=event, position=position + n)
        for n, event in enumerate(events, 1)
    ]


@pytest.mark.parametrize(
    ("words", "policy", "allowed"),
    [
        ((), OPT_OUT, True),
        ((), OPT_IN, False),
        ((NO,), OPT_OUT, False),
        ((YES,), OPT_IN, True),
        ((YES, NO), OPT_OUT, False),
        ((NO, YES), OPT_OUT, True),
    ],
)
def test_the_last_word_counts_and_without_one_the_setting(
    words: tuple[ev.Event, ...], policy: PrivacySettings, allowed: bool
) -> None:
    assert permitted(talk("c", "s", *words), policy, now=10.0) is allowed


def test_a_refusal_holds_for_all_conversations_of_a_person_and_for_nobody_else() -> None:
    mine, later, other = talk("a", "me"), talk("b", "me", NO, at=5.0), talk("c", "you")
    permission = Permission([*mine, *later, *other], OPT_OUT, now=10.0)
    assert [permission.permitted(history) for history in (mine, later, other)] == [False, False, True]


def test_old_conversations_teach_no_more() -> None:
    policy = PrivacySettings(retention_days=30)
    history = talk("a", "s")
    assert permitted(history, policy, now=29 * DAY) and not permitted(history, policy, now=31 * DAY)


def test_what_was_erased_teaches_nothing_and_nobody_is_nobody() -> None:
    stone = ev.Recorded(conversation="a", seq=9, turn=1, at=9.0, event=ev.Erased(events=8))
    assert not permitted([stone], OPT_OUT, now=10.0) and not permitted([], OPT_OUT, now=10.0)


def test_what_is_cleared_is_masked_in_the_order_of_the_log_without_those_who_refused() -> None:
    one, two, three = talk("b", "x"), talk("a", "y", position=10), talk("c", "z", NO, position=20)
    mixed = sorted([*one, *two, *three], key=lambda fact: (fact.seq, fact.position))
    numbered = [fact.model_copy(update={"position": n}) for n, fact in enumerate(mixed, 1)]
    found = cleared(numbered, None, now=30.0)
    assert [fact.position for fact in found] == [n for n, f in enumerate(numbered, 1) if f.conversation != "c"]
    assert {fact.event.message.text for fact in found if isinstance(fact.event, ev.Received)} == {
        "my mail is <EMAIL_1>"
    }
