"""One suite per protocol. Inherit it and give the fixture; plug-in authors may do the same."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.core import events as ev
from bot.core.errors import Conflict, NotFound
from bot.core.messages import Address
from bot.core.protocols import EventStore, Gateway
from tests.fakes import text


def recorded(seq: int, event: ev.Event, conversation: str = "c", turn: int = 0) -> ev.Recorded:
    return ev.Recorded(conversation=conversation, seq=seq, turn=turn, at=float(seq), event=event)


def started(conversation: str = "c") -> ev.Recorded:
    return recorded(1, ev.Started(channel="test", sender="ann"), conversation)


def received(seq: int, key: str, words: str = "hello", conversation: str = "c", turn: int = 1) -> ev.Recorded:
    event = ev.Received(message=text(words, key), key=key, channel="test")
    return recorded(seq, event, conversation, turn)


def settled(seq: int, conversation: str = "c", turn: int = 1) -> ev.Recorded:
    return recorded(seq, ev.Settled(outcome="replied"), conversation, turn)


class EventStoreContract:
    """What every `EventStore` does. The fixture `store` gives an empty one."""

    @pytest.fixture
    async def store(self) -> Any:
        raise NotImplementedError

    async def test_reads_what_was_appended_in_order(self, store: EventStore) -> None:
        await store.append("c", 0, [started(), received(2, "a")])
        await store.append("c", 2, [settled(3)])
        found = await store.read("c")
        assert [item.model_copy(update={"position": 0}) for item in found] == [started(), received(2, "a"), settled(3)]

    async def test_reads_after_a_seq_and_up_to_a_limit(self, store: EventStore) -> None:
        await store.append("c", 0, [started(), received(2, "a"), settled(3), received(4, "b")])
        assert [item.seq for item in await store.read("c", after=1, limit=2)] == [2, 3]

    async def test_an_unknown_conversation_is_empty(self, store: EventStore) -> None:
        assert list(await store.read("nobody")) == []

    async def test_positions_rise_over_all_conversations(self, store: EventStore) -> None:
        first = await store.append("c", 0, [started()])
        second = await store.append("d", 0, [started("d")])
        third = await store.append("c", 1, [received(2, "a")])
        assert 0 < first[0].position < second[0].position < third[0].position

    async def test_refuses_another_expected_seq_and_writes_nothing(self, store: EventStore) -> None:
        await store.append("c", 0, [started()])
        for expected, event in ((0, started()), (5, received(6, "a"))):
            with pytest.raises(Conflict):
                await store.append("c", expected, [event])
        assert len(await store.read("c")) == 1

    async def test_refuses_a_gap_inside_the_events(self, store: EventStore) -> None:
        with pytest.raises(Conflict):
            await store.append("c", 0, [started(), received(3, "a")])
        assert list(await store.read("c")) == []

    async def test_a_key_is_unique_in_its_conversation_only(self, store: EventStore) -> None:
        await store.append("c", 0, [started(), received(2, "a")])
        await store.append("d", 0, [started("d"), received(2, "a", conversation="d")])
        with pytest.raises(Conflict):
            await store.append("c", 2, [received(3, "a", turn=2)])
        assert len(await store.read("c")) == 2

    async def test_finds_a_message_by_its_key(self, store: EventStore) -> None:
        await store.append("c", 0, [started(), received(2, "a"), received(3, "b", "other", turn=2)])
        found = await store.find("c", "b")
        assert found is not None and (found.seq, found.turn) == (3, 2)
        assert await store.find("c", "x") is None and await store.find("d", "a") is None

    async def test_one_of_two_writers_with_the_same_seq_wins(self, store: EventStore) -> None:
        rivals = [store.append("c", 0, [started(), received(2, key)]) for key in ("a", "b")]
        results = await asyncio.gather(*rivals, return_exceptions=True)
        assert sum(isinstance(result, Conflict) for result in results) == 1
        assert len(await store.read("c")) == 2

    async def test_a_refused_append_does_not_spoil_others_at_the_same_time(self, store: EventStore) -> None:
        await store.append("c", 0, [started(), received(2, "a")])
        bad = store.append("c", 2, [received(3, "a", turn=2)])
        good = [store.append(name, 0, [started(name)]) for name in "defg"]
        results = await asyncio.gather(bad, *good, return_exceptions=True)
        assert [isinstance(result, Conflict) for result in results] == [True, False, False, False, False]

    async def test_open_turns_are_those_received_but_not_settled(self, store: EventStore) -> None:
        await store.append("c", 0, [started(), received(2, "a"), received(3, "b", turn=2)])
        await store.append("d", 0, [started("d"), received(2, "a", conversation="d"), settled(3, "d")])
        assert list(await store.open_turns()) == ["c"]
        await store.append("c", 3, [settled(4), settled(5, turn=2)])
        assert list(await store.open_turns()) == []

    async def test_erasing_leaves_a_tombstone_and_seq_goes_on(self, store: EventStore) -> None:
        await store.append("c", 0, [started(), received(2, "a")])
        assert await store.erase("c", 9.0) == 2
        (stone,) = await store.read("c")
        assert (stone.seq, stone.turn, stone.event) == (3, 1, ev.Erased(events=2))
        assert await store.find("c", "a") is None and list(await store.open_turns()) == []
        await store.append("c", 3, [recorded(4, ev.Started(channel="test", sender="ann"))])

    async def test_erasing_spares_the_others(self, store: EventStore) -> None:
        await store.append("c", 0, [started()])
        await store.append("d", 0, [started("d")])
        await store.erase("c", 9.0)
        assert len(await store.read("d")) == 1

    async def test_erasing_nobody_is_an_error(self, store: EventStore) -> None:
        with pytest.raises(NotFound):
            await store.erase("nobody", 9.0)


class GatewayContract:
    """What every `Gateway` does with triggers. The fixture `gateway` gives one that answers the intent `hello`."""

    HERE = Address(channel="test", conversation="c", sender="ann")

    @pytest.fixture
    async def gateway(self) -> Any:
        raise NotImplementedError

    async def test_a_trigger_is_a_message_that_nobody_said(self, gateway: Gateway) -> None:
        outcome = await (await gateway.trigger(self.HERE, "hello")).settled()
        assert outcome.outcome == "replied" and outcome.messages
        facts = [recorded.event for recorded in await gateway.read("c")]
        heard = next(event for event in facts if isinstance(event, ev.Received))
        meant = next(event for event in facts if isinstance(event, ev.Understood))
        assert heard.message.parts == () and heard.metadata == {"is_external": True}
        assert meant.source == "external" and meant.accepted and meant.intents[0].name == "hello"

    async def test_a_named_trigger_happens_once(self, gateway: Gateway) -> None:
        first, again = [await gateway.trigger(self.HERE, "hello", name="r.1") for _ in range(2)]
        assert (again.turn, again.duplicate, first.duplicate) == (first.turn, True, False)
        assert (await gateway.trigger(self.HERE, "hello", name="r.2")).turn == first.turn + 1
