"""Reminders: what is due is known from the log, survives a restart, and comes once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.core import events as ev
from bot.core.errors import DuplicateMismatch, Overloaded
from bot.core.messages import Address
from bot.core.protocols import Receipt
from bot.manager import Manager
from bot.reminders import LATE, Agenda, Reminders, forget
from bot.store import SqlStore
from tests.fakes import Clock, MemoryStore, eventually, managing, tell


class Log(MemoryStore):
    async def tail(self, after_position: int = 0, limit: int = 1000) -> Sequence[ev.Recorded]:
        return [recorded for recorded in self.log if recorded.position > after_position][:limit]


@asynccontextmanager
async def reminding(store: Log | SqlStore, path: Path, clock: Clock) -> AsyncIterator[Manager]:
    async with managing(store, clock=clock) as manager:
        reminders = Reminders(store, manager, path / "reminders.json", clock)
        manager.followers.watch(reminders.see)
        await reminders.start()
        try:
            yield manager
        finally:
            await reminders.stop()


def reminder(name: str = "n", due: float = 1_010.0, stays: bool = True) -> ev.ReminderSet:
    city = ev.Entity(type="city", value="Bonn", text="Bonn", start=0, end=0)
    return ev.ReminderSet(name=name, intent="hello", due=due, entities=(city,), cancelled_by_message=not stays)


def triggered(store: Log) -> list[ev.Understood]:
    facts = [recorded.event for recorded in store.log]
    return [fact for fact in facts if isinstance(fact, ev.Understood) and fact.source == "external"]


async def test_a_reminder_is_triggered_when_it_is_due(tmp_path: Path) -> None:
    store, clock = Log(), Clock()
    async with reminding(store, tmp_path, clock) as manager:
        await tell(manager, "hello")
        await manager.record("c", reminder(due=1_000.02))
        await asyncio.sleep(0.01)
        assert triggered(store) == []
        clock.forward(1.0)
        await eventually(lambda: store.log[-1].event.kind == "settled" and len(triggered(store)) == 1)
    (meant,) = triggered(store)
    assert meant.intents[0].name == "hello" and meant.entities[0].value == "Bonn"
    received = [recorded.event for recorded in store.log if isinstance(recorded.event, ev.Received)]
    assert received[1].channel == "test" and received[1].key.startswith("reminder.")


async def test_it_comes_after_a_restart_and_only_once(tmp_path: Path) -> None:
    store, clock = Log(), Clock()
    async with reminding(store, tmp_path, clock) as manager:
        await tell(manager, "hello")
        await manager.record("c", reminder())
    clock.forward(60.0)
    for _ in range(2):
        async with reminding(store, tmp_path, clock) as manager:
            await eventually(lambda: len(triggered(store)) == 1 and store.log[-1].event.kind == "settled")
    assert len(triggered(store)) == 1


@pytest.mark.parametrize("content", [None, "{", '{"position": 1}'], ids=["lost", "damaged", "old"])
async def test_without_its_file_the_log_is_read_again(tmp_path: Path, content: str | None) -> None:
    store, clock, path = Log(), Clock(), tmp_path / "reminders.json"
    async with reminding(store, tmp_path, clock) as manager:
        await tell(manager, "hello")
        await manager.record("c", reminder(due=1_000.0))
        await eventually(lambda: len(triggered(store)) == 1)
        await manager.record("c", reminder("later", due=2_000.0))
    path.unlink() if content is None else path.write_text(content)
    clock.forward(5_000.0)
    async with reminding(store, tmp_path, clock):
        await eventually(lambda: len(triggered(store)) == 2)
    assert len(triggered(store)) == 2


async def test_what_was_committed_without_us_is_found(tmp_path: Path) -> None:
    store, clock = Log(), Clock()
    async with managing(store, clock=clock) as manager:
        await tell(manager, "hello")
        await manager.record("c", reminder())
    clock.forward(60.0)
    async with reminding(store, tmp_path, clock):
        await eventually(lambda: len(triggered(store)) == 1)


GONE: dict[str, list[ev.Event]] = {
    "cancelled": [ev.ReminderCancelled(name="n")],
    "cancelled by intent": [ev.ReminderCancelled(intent="hello")],
    "all cancelled": [ev.ReminderCancelled()],
    "replaced": [reminder(due=1e10)],
}


@pytest.mark.parametrize("events", GONE.values(), ids=GONE)
async def test_a_reminder_can_be_taken_back(tmp_path: Path, events: list[ev.Event]) -> None:
    store, clock = Log(), Clock()
    async with reminding(store, tmp_path, clock) as manager:
        await tell(manager, "hello")
        for event in [reminder(), *events]:
            await manager.record("c", event)
        clock.forward(60.0)
        await manager.record("c", reminder("other", due=0.0 + clock.now))
        await eventually(lambda: len(triggered(store)) == 1)
        await asyncio.sleep(0.02)
    assert len(triggered(store)) == 1


@pytest.mark.parametrize(
    "event", [ev.ReminderCancelled(name="x"), ev.ReminderCancelled(intent="x"), ev.SlotSet(name="a")]
)
async def test_other_facts_leave_it_alone(tmp_path: Path, event: ev.Event) -> None:
    store, clock = Log(), Clock()
    async with reminding(store, tmp_path, clock) as manager:
        await tell(manager, "hello")
        await manager.record("c", reminder())
        await manager.record("c", event)
        clock.forward(60.0)
        await manager.record("c", reminder("other", due=1e10))
        await eventually(lambda: len(triggered(store)) == 1)


@pytest.mark.parametrize("stays", [True, False])
async def test_a_message_makes_it_needless_if_so_wished(tmp_path: Path, stays: bool) -> None:
    store, clock = Log(), Clock()
    async with reminding(store, tmp_path, clock) as manager:
        await tell(manager, "hello")
        await manager.record("c", reminder(stays=stays))
        await (await manager.trigger(Address(channel="test", conversation="c", sender="ann"), "hello")).settled()
        await tell(manager, "hello")
        clock.forward(60.0)
        await manager.record("c", reminder("other", due=clock.now))
        await eventually(lambda: len(triggered(store)) == 2 + stays)


async def test_an_erased_conversation_is_not_reminded(tmp_path: Path) -> None:
    store, clock = Log(), Clock()
    async with reminding(store, tmp_path, clock) as manager:
        await tell(manager, "hello")
        await manager.record("c", reminder())
        await manager.erase("c")
        clock.forward(60.0)
    assert "Bonn" not in (tmp_path / "reminders.json").read_text()
    assert triggered(store) == []


async def test_long_overdue_reminders_are_forgotten(tmp_path: Path) -> None:
    store, clock = Log(), Clock()
    async with reminding(store, tmp_path, clock) as manager:
        await tell(manager, "hello")
        await manager.record("c", reminder())
    clock.forward(LATE + 60.0)
    async with reminding(store, tmp_path, clock) as manager:
        await manager.record("c", reminder("other", due=clock.now))
        await eventually(lambda: len(triggered(store)) == 1)


class Refusing(Manager):
    """A manager that refuses the first trigger."""

    refusals: list[Exception]

    async def trigger(
        self, address: Address, intent: str, entities: Sequence[ev.Entity] = (), name: str = ""
    ) -> Receipt:
        if self.refusals:
            raise self.refusals.pop()
        return await super().trigger(address, intent, entities, name)


@pytest.mark.parametrize(("refusal", "times"), [(Overloaded("full"), 1), (DuplicateMismatch("used"), 0)])
async def test_a_refused_reminder_comes_later_if_it_can(tmp_path: Path, refusal: Exception, times: int) -> None:
    store, clock = Log(), Clock()
    async with managing(store, clock=clock) as plain:
        await tell(plain, "hello")
        await plain.record("c", reminder(due=0.0 + clock.now))
        manager = Refusing(store, plain.models, clock=clock)
        manager.refusals = [refusal]
        reminders = Reminders(store, manager, tmp_path / "reminders.json", clock, retry=0.01)
        await reminders.start()
        await asyncio.sleep(0.1)
        await reminders.stop()
        await manager.close()
    assert len(triggered(store)) == times


async def test_it_works_on_the_real_log_and_a_read_only_folder_is_no_harm(tmp_path: Path) -> None:
    clock = Clock()
    async with SqlStore(tmp_path / "log.db") as store, reminding(store, tmp_path / "nowhere", clock) as manager:
        await tell(manager, "hello")
        await manager.record("c", reminder(due=clock.now))
        seen = []
        async for recorded in manager.follow("c", 0):
            seen.append(recorded.event.kind)
            if seen.count("settled") == 2:
                break
    assert seen.count("received") == 2


async def test_what_another_process_erases_is_due_no_more(tmp_path: Path) -> None:
    store, clock = Log(), Clock()
    async with reminding(store, tmp_path, clock) as manager:
        await tell(manager, "hello")
        await manager.record("c", reminder(due=2_000.0))
        await manager.record("c", reminder("other", due=1_000.5))
        await store.erase("c", 1_000.1)
        clock.forward(1.0)
        await eventually(lambda: "Bonn" not in (tmp_path / "reminders.json").read_text())
    assert triggered(store) == []


async def test_a_conversation_is_taken_out_of_the_file_and_others_stay(tmp_path: Path) -> None:
    store, clock, path = Log(), Clock(), tmp_path / "reminders.json"
    async with reminding(store, tmp_path, clock) as manager:
        for name in ("c", "d"):
            await tell(manager, "hello", conversation=name)
            await manager.record(name, reminder())
    assert (forget(path, ["c"]), forget(path, ["c"])) == (1, 0)
    assert list(Agenda.model_validate_json(path.read_bytes()).due) == ["d"]
