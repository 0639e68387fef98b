"""What comes from outside of a conversation: triggered intents, histories that are written, actions done by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import pytest

from bot.core import events as ev
from bot.core.errors import IllegalHistory, NotFound
from bot.core.messages import Address
from bot.core.protocols import ActionCall, ActionResult, Gateway
from bot.mailbox import Mailbox
from bot.manager import Manager
from tests.contracts import GatewayContract
from tests.fakes import Actions, MemoryStore, Reader, inbound, managing, models, tell

HERE = Address(channel="rest", conversation="c", sender="ann")


def kinds(store: MemoryStore) -> list[str]:
    return [recorded.event.kind for recorded in store.of("c")]


async def test_a_triggered_intent_is_a_turn_of_its_own() -> None:
    store, reader = MemoryStore(), Reader()
    async with managing(store, models(reader)) as manager:
        receipt = await manager.trigger(HERE, "hello")
        outcome = await receipt.settled()
    assert [message.text for message in outcome.messages] == ["Hello!"] and reader.seen == []
    assert kinds(store)[:3] == ["started", "received", "understood"]
    received, understood = (recorded.event for recorded in store.of("c")[1:3])
    assert isinstance(received, ev.Received) and received.metadata == {"is_external": True}
    assert isinstance(understood, ev.Understood) and understood.source == "external" and understood.accepted


async def test_message_and_meaning_are_one_commit() -> None:
    class Torn(MemoryStore):
        async def append(self, conversation: str, expected_seq: int, events: Any) -> Any:
            assert [each.event.kind for each in events] != ["started", "received"]
            return await super().append(conversation, expected_seq, events)

    async with managing(Torn()) as manager:
        await (await manager.trigger(HERE, "hello")).settled()


async def test_the_same_trigger_happens_once() -> None:
    store, city = MemoryStore(), ev.Entity(type="city", value="Bonn", text="Bonn", start=0, end=0)
    async with managing(store) as manager:
        first = await manager.trigger(HERE, "hello", (city,), "reminder.1")
        again = await manager.trigger(HERE, "hello", (city,), "reminder.1")
        assert (again.turn, again.duplicate) == (first.turn, True)
        other = await manager.trigger(HERE, "hello", name="reminder.2")
        assert other.turn == 2
        await other.settled()
    assert kinds(store).count("received") == 2


class TestManager(GatewayContract):
    @pytest.fixture
    async def gateway(self) -> AsyncIterator[Gateway]:
        async with managing() as manager:
            yield manager


async def test_a_trigger_waits_for_the_turn_under_way() -> None:
    store, reader = MemoryStore(), Reader()
    reader.gate.clear()
    async with managing(store, models(reader)) as manager:
        spoken = await manager.submit(inbound("hello"))
        triggering = asyncio.create_task(manager.trigger(HERE, "hello"))
        await asyncio.sleep(0.01)
        assert not triggering.done()
        reader.gate.set()
        await spoken.settled()
        assert (await (await triggering).settled()).turn == 2


async def test_a_trigger_comes_after_what_another_process_wrote() -> None:
    store = MemoryStore()
    async with managing(store) as manager:
        await tell(manager, "hello")
        await store.append("c", len(store.of("c")), [ev.Recorded(conversation="c", seq=len(store.of("c")) + 1, turn=1,
                                                                 at=1.0, event=ev.SlotSet(name="a"))])  # fmt: skip
        assert (await (await manager.trigger(HERE, "hello")).settled()).outcome == "replied"


def history(box: Mailbox) -> Iterator[ev.Recorded]:
    seq, turn = box.state.seq, box.state.turn + 1
    told: list[ev.Event] = [
        ev.Received(message=inbound("imported").message, key="i", channel="rest"),
        ev.Settled(outcome="unanswered"),
    ]
    if not seq:
        told.insert(0, ev.Started(channel="rest", sender="ann"))
    for number, event in enumerate(told, start=1):
        own = 0 if isinstance(event, ev.Started) else turn
        yield ev.Recorded(conversation="c", seq=seq + number, turn=own, at=5.0, event=event)


async def test_a_history_is_appended_between_turns() -> None:
    store = MemoryStore()
    async with managing(store) as manager:
        await manager.write("c", history)
        assert kinds(store) == ["started", "received", "settled"]
        assert await tell(manager, "hello") == ["Hello!"]
    assert store.of("c")[1].at == 5.0


async def test_a_history_that_cannot_follow_is_refused_whole() -> None:
    store = MemoryStore()

    def wrong(box: Mailbox) -> Iterator[ev.Recorded]:
        yield ev.Recorded(conversation="c", seq=9, turn=3, at=1.0, event=ev.Settled(outcome="replied"))

    async with managing(store) as manager:
        await tell(manager, "hello")
        before = len(store.log)
        with pytest.raises(IllegalHistory):
            await manager.write("c", wrong)
        assert len(store.log) == before and await tell(manager, "hello") == ["Hello!"]


async def by_hand(manager: Manager, action: str) -> list[str]:
    done = await manager.act("c", ev.Predicted(action=action, policy="External"))
    return [fact.event.message.text for fact in done if isinstance(fact.event, ev.Replied)]


async def test_a_response_can_be_said_by_hand() -> None:
    store = MemoryStore()
    async with managing(store) as manager:
        await tell(manager, "hello")
        assert await by_hand(manager, "utter_hello") == ["Hello!"]
        assert await by_hand(manager, "utter_hello") == ["Hello!"]
        assert await tell(manager, "hello") == ["Hello!"]
    ids = [recorded.event.message.id for recorded in store.log if isinstance(recorded.event, ev.Replied)]
    assert len(set(ids)) == 4
    assert kinds(store)[8:11] == ["predicted", "replied", "action_ran"]


async def test_a_custom_action_can_be_run_by_hand() -> None:
    def find(call: ActionCall) -> ActionResult:
        return ActionResult(slots={"found": True}, messages=("utter_hello",))

    store = MemoryStore()
    async with managing(store, models(actions=Actions(action_order=find))) as manager:
        await tell(manager, "hello")
        assert await by_hand(manager, "action_order") == ["Hello!"]
    assert kinds(store)[-4:] == ["predicted", "action_ran", "slot_set", "replied"]


async def test_an_action_that_fails_by_hand_is_noted() -> None:
    def broken(call: ActionCall) -> ActionResult:
        raise ValueError("no")

    store = MemoryStore()
    async with managing(store, models(actions=Actions(action_order=broken))) as manager:
        await tell(manager, "hello")
        assert await by_hand(manager, "action_order") == []
        assert await tell(manager, "hello") == ["Hello!"]
    (ran,) = [recorded.event for recorded in store.log if isinstance(recorded.event, ev.ActionRan)]
    assert ran.error == "action_failed"


async def test_nothing_is_done_by_hand_where_nobody_talks() -> None:
    async with managing() as manager:
        with pytest.raises(NotFound):
            await by_hand(manager, "utter_hello")


async def test_a_log_that_fails_during_an_action_by_hand_spoils_nothing() -> None:
    store = MemoryStore()
    async with managing(store) as manager:
        await tell(manager, "hello")
        store.refuse = NotFound("gone")
        with suppress(NotFound):
            await by_hand(manager, "utter_hello")
        store.refuse = None
        assert await tell(manager, "hello") == ["Hello!"]
