"""Past turns with a candidate: what changes is listed, what does not is not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bot.core import events as ev
from bot.core.messages import Message, Text
from bot.core.protocols import ActionResult, Understanding, Utterance
from tests.fakes import Actions, MemoryStore, Reader, Shelf, managing, models, program, tell
from training.counterfactual import Changed, Replayed, replay


class Candidate:
    """Understands as the first word, but for the words in `other`."""

    name = "candidate"

    def __init__(self, **other: str) -> None:
        self.other = other

    def run(self, batch: Sequence[Utterance]) -> list[Understanding]:
        return [self._one(item.text) for item in batch]

    def _one(self, text: str) -> Understanding:
        word = text.split(" ")[0]
        intent = self.other.get(word, word)
        scores = (ev.Scored(name=intent, score=0.99),)
        return Understanding(text, "en", True, scores, 0.0 if intent == "nothing" else 0.99, 0.5, (), "new")


@pytest.fixture
async def log() -> MemoryStore:
    """Two conversations: hello, an order, something looked up; hello."""
    store = MemoryStore()
    actions = Actions(action_order=lambda _: ActionResult(slots={"n": 1}, messages=("utter_hello",)))
    async with managing(store, models(Reader(), actions=actions, retrieve=Shelf())) as manager:
        for words in ("hello you", "order now", "terms of trade"):
            await tell(manager, words)
        await tell(manager, "hello again", conversation="d")
        await manager.record("c", ev.Corrected(target=1, intent="order"))
    return store


def one(found: Replayed) -> Changed:
    (changed,) = found.changed
    return changed


async def test_the_same_understanding_changes_nothing(log: MemoryStore) -> None:
    found = replay(log.log, program(), Candidate())
    assert (found.turns, found.conversations, found.left_out, found.changed) == (4, 2, 0, ())


async def test_another_route_action_and_answer_are_listed(log: MemoryStore) -> None:
    changed = one(replay(log.log, program(), Candidate(order="hello")))
    assert (changed.conversation, changed.turn, changed.text) == ("c", 2, "order now")
    assert changed.routes == ("start_flow order", "start_flow hello")
    assert changed.kinds == ("route", "action")
    assert "runs action_order" in changed.before and "runs action_order" not in changed.after
    assert changed.intents == ("order", "hello") and changed.better is None


async def test_an_action_that_the_log_does_not_know_ends_the_turn(log: MemoryStore) -> None:
    found = replay(log.log, program(), Candidate(hello="order"))
    first, second = found.changed
    assert first.after[-1] == "runs action_order" and not first.whole
    assert (first.better, second.better) == (True, None)  # a person said so of the first
    assert found.kinds == {"route": 2, "action": 2, "answer": 2}


async def test_a_person_says_that_it_got_worse(log: MemoryStore) -> None:
    log.log = [fact for fact in log.log if not isinstance(fact.event, ev.Corrected)]
    place = log.log[-1].model_copy(update={"conversation": "c", "event": ev.Corrected(target=2, intent="order")})
    changed = one(replay([*log.log, place], program(), Candidate(order="hello")))
    assert changed.better is False


async def test_what_was_answered_is_looked_up_now(log: MemoryStore) -> None:
    changed = one(replay(log.log, program(), Candidate(order="nothing")))
    assert changed.routes == ("start_flow order", "knowledge") and changed.intents == ("order", "oos")
    assert changed.after[-1] == "and answers with what it finds there"


async def test_only_turns_since_then_count(log: MemoryStore) -> None:
    stamped = [fact.model_copy(update={"at": float(fact.turn)}) for fact in log.log]
    assert [item.turn for item in replay(stamped, program(), Candidate(hello="order"), since=2.0).changed] == []
    assert replay(stamped, program(), Candidate(), since=2.0).turns == 2


async def test_presses_and_erased_conversations_are_left_out(log: MemoryStore) -> None:
    await log.erase("c", 1.0)
    facts = [
        fact.model_copy(update={"event": fact.event.model_copy(update={"source": "payload"})})
        if isinstance(fact.event, ev.Understood)
        else fact
        for fact in log.log
    ]
    found = replay(facts, program(), Candidate(hello="order"))
    assert (found.turns, found.left_out, found.changed) == (0, 1, ())


def test_turns_of_another_system_are_met_as_this_bot_would_have_met_them() -> None:
    message = Message(id="m", parts=(Text(text="hello you"),))
    facts: tuple[ev.Event, ...] = (
        ev.Started(channel="import", sender="s"),
        ev.Received(message=message, key="k", channel="import"),
        ev.Understood(text="hello you", language="en", intents=(ev.Scored(name="order", score=1.0),), in_scope=1.0),
        ev.Replied(message=Message(id="r", parts=(Text(text="Which order?"),))),
        ev.Settled(outcome="replied"),
        ev.Corrected(target=1, intent="hello"),
    )
    history = [
        ev.Recorded(conversation="i", seq=n, turn=min(n - 1, 1), at=1.0, event=fact, position=n)
        for n, fact in enumerate(facts, 1)
    ]
    changed = one(replay(history, program(), Candidate()))
    assert changed.routes == ("start_flow order", "start_flow hello") and changed.better
    assert changed.after[-1] == "says utter_hello"
