from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bot.core import events as ev
from bot.core import steps as st
from bot.core.conversation import Conversation, fold
from bot.core.errors import DuplicateMismatch, IllegalHistory, NotFound, Overloaded, StorageUnavailable
from bot.core.messages import Message, Text
from bot.core.program import Program
from bot.core.protocols import ActionCall, ActionResult
from bot.core.script import Did, Gap, Heard, Script, Story
from bot.manager import Manager, ManagerLimits
from bot.models import Deadlines
from bot.store import SqlStore
from bot.turns import Timing
from tests.fakes import Actions, Clock, MemoryStore, Reader, Shelf, eventually, inbound, managing, models, program, tell

QUICK = ManagerLimits(retry=0.01, deadlines=Deadlines(understand=0.05, retrieve=0.05, action=0.05))


def kinds(store: MemoryStore, conversation: str = "c") -> list[str]:
    return [recorded.event.kind for recorded in store.of(conversation)]


def found(store: MemoryStore, kind: type[Any]) -> list[Any]:
    return [recorded.event for recorded in store.log if isinstance(recorded.event, kind)]


# One turn


async def test_a_message_is_answered_and_every_step_is_a_fact() -> None:
    store = MemoryStore()
    async with managing(store) as manager:
        assert await tell(manager, "hello") == ["Hello!"]
    assert kinds(store) == [
        "started", "received", "understood", "predicted", "flow_entered", "replied", "flow_left", "settled",
    ]  # fmt: skip
    assert {recorded.turn for recorded in store.log[1:]} == {1}


async def test_a_simple_turn_costs_two_commits() -> None:
    store = MemoryStore()
    async with managing(store) as manager:
        await tell(manager, "hello")
    assert store.appends == 2


async def test_replies_have_ids_by_turn_and_point_to_the_message() -> None:
    async with managing() as manager:
        await tell(manager, "hello")
        receipt = await manager.submit(inbound("hello", "mine"))
        (message,) = (await receipt.settled()).messages
    assert (message.id, message.reply_to) == ("2.1", "mine")


async def test_knowledge_is_searched_with_the_vector_of_the_same_turn() -> None:
    shelf = Shelf()
    async with managing(given=models(retrieve=shelf)) as manager:
        assert await tell(manager, "returns please") == ["Thirty days."]
    assert [(query.text, query.vector) for query in shelf.queries] == [("returns please", [1.0])]


async def test_without_an_index_nothing_is_found() -> None:
    async with managing() as manager:
        assert await tell(manager, "returns") == ["I do not know."]


async def test_stages_are_timed() -> None:
    seen: list[Timing] = []
    async with managing(given=models(retrieve=Shelf()), observe=seen.append) as manager:
        await tell(manager, "returns")
        await manager.drain()
    assert {timing.stage for timing in seen} == {"ack", "understand", "retrieve", "decide", "commit", "turn"}
    assert {(timing.conversation, timing.turn) for timing in seen} == {("c", 1)}
    assert [(timing.channel, timing.outcome) for timing in seen if timing.stage == "turn"] == [("test", "replied")]


# Actions


def ordering(**slots: Any) -> Actions:
    return Actions(action_order=lambda call: ActionResult(slots=slots, messages=("utter_hello", Message(
        id="", parts=(Text(text="Done."),)))))  # fmt: skip


async def test_an_action_sets_slots_and_speaks() -> None:
    store = MemoryStore()
    async with managing(store, models(actions=ordering(size=3))) as manager:
        assert await tell(manager, "order") == ["Hello!", "Done."]
    (ran,), (slot,) = found(store, ev.ActionRan), found(store, ev.SlotSet)
    assert (ran.action, ran.step, ran.error, ran.key) == ("action_order", "act", None, "c/1/act")
    assert (slot.name, slot.value, slot.source) == ("size", 3, "action")


async def test_what_leads_to_an_action_is_durable_before_it_runs() -> None:
    store, seen = MemoryStore(), []

    def order(call: ActionCall) -> ActionResult:
        seen.extend(kinds(store))
        return ActionResult(messages=("utter_hello",))

    async with managing(store, models(actions=Actions(action_order=order))) as manager:
        await tell(manager, "order")
    assert seen[-1] == "flow_entered"


@pytest.mark.parametrize("actions", [None, Actions(), Actions(action_order=lambda call: 1 / 0)])  # type: ignore[arg-type,return-value]
async def test_a_failing_action_ends_in_a_visible_failure(actions: Actions | None) -> None:
    store = MemoryStore()
    async with managing(store, models(actions=actions)) as manager:
        assert await tell(manager, "order") == ["Something broke."]
    assert found(store, ev.ActionRan)[0].error in ("skill_failed", "action_failed")
    assert found(store, ev.Settled)[0].outcome == "failed"


# Acknowledgement


async def test_nothing_is_acknowledged_or_shown_before_its_commit() -> None:
    store, reader = MemoryStore(), Reader()
    store.hold.clear()
    async with managing(store, models(reader)) as manager:
        sending = asyncio.create_task(manager.submit(inbound("hello")))
        await eventually(lambda: bool(reader.seen))  # it thinks already
        await asyncio.sleep(0.02)
        assert not sending.done() and store.log == []
        store.hold.set()
        assert (await (await sending).settled()).outcome == "replied"


async def test_the_message_stays_acknowledged_when_the_sender_goes_away() -> None:
    store = MemoryStore()
    store.hold.clear()
    async with managing(store) as manager:
        sending = asyncio.create_task(manager.submit(inbound("hello")))
        await asyncio.sleep(0.01)
        sending.cancel()
        store.hold.set()
        await eventually(lambda: "settled" in kinds(store))


async def test_a_log_that_cannot_be_written_refuses_and_recovers() -> None:
    store = MemoryStore()
    async with managing(store, limits=QUICK) as manager:
        store.refuse = StorageUnavailable("disk full")
        with pytest.raises(StorageUnavailable):
            await manager.submit(inbound("hello", "k"))
        assert store.log == []
        store.refuse = None
        assert await tell(manager, "hello", "k") == ["Hello!"]


async def test_an_answer_that_could_not_be_stored_comes_when_the_log_is_back() -> None:
    store, reader = MemoryStore(), Reader()
    reader.gate.clear()
    async with managing(store, models(reader), QUICK) as manager:
        receipt = await manager.submit(inbound("hello"))
        store.refuse = StorageUnavailable("disk full")
        reader.gate.set()
        with pytest.raises(StorageUnavailable):
            await receipt.settled()
        store.refuse = None
        await eventually(lambda: "settled" in kinds(store))
    assert kinds(store).count("settled") == kinds(store).count("replied") == 1


# Sending again


async def test_a_message_sent_again_gets_the_first_receipt_and_outcome() -> None:
    store = MemoryStore()
    async with managing(store) as manager:
        first = await manager.submit(inbound("hello", "k"))
        outcome = await first.settled()
        again = await manager.submit(inbound("hello", "k"))
        assert (again.seq, again.turn, again.duplicate) == (first.seq, first.turn, True)
        assert await again.settled() == outcome
    assert kinds(store).count("received") == 1


async def test_fifty_at_once_are_one_turn() -> None:
    store = MemoryStore()
    async with managing(store) as manager:
        receipts = await asyncio.gather(*(manager.submit(inbound("hello", "k")) for _ in range(50)))
        outcomes = [await receipt.settled() for receipt in receipts]
    assert kinds(store).count("received") == 1 and all(outcome == outcomes[0] for outcome in outcomes)
    assert sum(not receipt.duplicate for receipt in receipts) == 1


async def test_another_message_with_the_same_id_is_refused() -> None:
    async with managing() as manager:
        await tell(manager, "hello", "k")
        with pytest.raises(DuplicateMismatch, match="'k'"):
            await manager.submit(inbound("goodbye", "k"))


@pytest.mark.parametrize("later", [0, 40])
async def test_an_id_is_known_after_a_restart_and_many_turns(tmp_path: Path, later: int) -> None:
    async with SqlStore(tmp_path / "log.db") as store:
        async with managing(store) as manager:
            await tell(manager, "hello", "k")
            for _ in range(later):
                await tell(manager, "hello")
        async with managing(store) as manager:
            receipt = await manager.submit(inbound("hello", "k"))
            assert (receipt.turn, receipt.duplicate) == (1, True)
            assert [message.id for message in (await receipt.settled()).messages] == ["1.1"]
            with pytest.raises(DuplicateMismatch):
                await manager.submit(inbound("bye", "k"))


async def test_a_message_that_another_process_stored_is_found() -> None:
    store = MemoryStore()
    async with managing(store) as one, managing(store) as other:
        await tell(one, "hello", "k1")
        await tell(other, "hello", "k2")
        receipt = await one.submit(inbound("hello", "k2"))
        assert (receipt.duplicate, receipt.turn) == (True, 2)
        assert await tell(one, "hello", "k3") == ["Hello!"]


# Order and bounds


async def test_what_another_process_wrote_does_not_mix_with_a_turn_under_way(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    async with SqlStore(path) as store, SqlStore(path) as other, managing(store) as manager:
        await tell(manager, "hello")
        seen = await other.read("c")
        fact = ev.Rated(message="1.1", score=1)
        last = ev.Recorded(conversation="c", seq=len(seen) + 1, turn=1, at=0.0, event=fact)
        await other.append("c", len(seen), [last])
        assert await tell(manager, "hello") == ["Hello!"]
        log = await other.read("c")
    assert [recorded.event.kind for recorded in log].count("settled") == 2
    assert fold("c", log).turn == 2


async def test_messages_are_answered_in_the_order_of_their_acknowledgement() -> None:
    store = MemoryStore()
    async with managing(store) as manager:
        receipts = [await manager.submit(inbound("hello")) for _ in range(10)]
        outcomes = [await receipt.settled() for receipt in receipts]
    assert [outcome.turn for outcome in outcomes] == list(range(1, 11))
    assert [recorded.turn for recorded in store.log if recorded.event.kind == "settled"] == list(range(1, 11))
    assert [recorded.seq for recorded in store.log] == list(range(1, len(store.log) + 1))


async def test_too_many_waiting_messages_are_refused_before_they_are_acknowledged() -> None:
    store, reader = MemoryStore(), Reader()
    reader.gate.clear()
    async with managing(store, models(reader), ManagerLimits(waiting=2)) as manager:
        receipts = [await manager.submit(inbound("hello")) for _ in range(2)]
        with pytest.raises(Overloaded):
            await manager.submit(inbound("hello"))
        assert kinds(store).count("received") == 2
        reader.gate.set()
        assert [(await receipt.settled()).outcome for receipt in receipts] == ["replied", "replied"]


async def test_too_many_busy_conversations_refuse_a_new_one() -> None:
    reader = Reader()
    reader.gate.clear()
    async with managing(given=models(reader), limits=ManagerLimits(active=2)) as manager:
        for name in "ab":
            await manager.submit(inbound("hello", conversation=name))
        with pytest.raises(Overloaded) as refused:
            await manager.submit(inbound("hello", conversation="c"))
        assert refused.value.retry_after > 0


async def test_idle_conversations_are_forgotten_and_read_again() -> None:
    async with managing(limits=ManagerLimits(cached=2)) as manager:
        for name in "abcda":
            assert await tell(manager, "hello", conversation=name) == ["Hello!"]
        receipt = await manager.submit(inbound("hello", conversation="a"))
        assert receipt.turn == 3


async def test_conversations_at_rest_can_be_forgotten_and_those_at_work_stay() -> None:
    reader = Reader()
    async with managing(given=models(reader)) as manager:
        assert await tell(manager, "hello", conversation="a") == ["Hello!"]
        reader.gate.clear()
        receipt = await manager.submit(inbound("hello", conversation="b"))
        manager.forget()
        reader.gate.set()
        assert (await receipt.settled()).outcome == "replied"
        assert (await manager.submit(inbound("hello", conversation="a"))).turn == 2


# Failure


async def test_a_failing_skill_ends_in_a_visible_failure() -> None:
    store, reader = MemoryStore(), Reader()
    reader.error = ValueError("my card is 4111")
    async with managing(store, models(reader)) as manager:
        assert await tell(manager, "hello") == ["Something broke."]
        (failed,) = found(store, ev.Failed)
        assert (failed.code, failed.stage, failed.detail) == ("internal", "understand", "ValueError")
        reader.error = None
        assert await tell(manager, "hello") == ["Hello!"]


async def test_a_hung_skill_gives_the_fallback_in_time() -> None:
    store, reader = MemoryStore(), Reader()
    reader.gate.clear()
    async with managing(store, models(reader), QUICK) as manager:
        assert await tell(manager, "hello") == ["Something broke."]
    assert found(store, ev.Failed)[0].code == "deadline_exceeded"


async def test_scores_that_are_no_numbers_are_a_failure() -> None:
    class Odd(Reader):
        async def __call__(self, utterance: Any) -> Any:
            from dataclasses import replace

            return replace(await super().__call__(utterance), in_scope=float("nan"))

    async with managing(given=models(Odd())) as manager:
        assert await tell(manager, "hello") == ["Something broke."]


async def test_going_in_circles_is_broken_off() -> None:
    store = MemoryStore()

    def circle(conversation: Conversation, rules: Program) -> st.Step:
        if conversation.current is None:
            return st.Listen()
        return st.Record(events=(ev.Predicted(action="again"),))

    async with managing(store, models(program=program(max_steps=5)), decide=circle) as manager:
        assert await tell(manager, "hello") == ["Sorry, something went wrong. Please try again."]
    assert found(store, ev.Failed)[0].code == "too_many_steps"
    assert found(store, ev.Settled)[0].outcome == "failed"


async def test_a_broken_program_still_answers() -> None:
    def broken(conversation: Conversation, rules: Program) -> st.Step:
        raise KeyError("no such flow")

    async with managing(decide=broken) as manager:
        assert await tell(manager, "hello") == ["Sorry, something went wrong. Please try again."]


# Swapping, following, recording, erasing


async def test_models_are_swapped_between_turns_only() -> None:
    store, old, new = MemoryStore(), Reader(), Reader()
    old.gate.clear()
    async with managing(store, models(old)) as manager:
        first, second = await manager.submit(inbound("hello")), await manager.submit(inbound("hello"))
        await eventually(lambda: bool(old.seen))
        manager.models = models(new, retrieve=Shelf())
        old.gate.set()
        await asyncio.gather(first.settled(), second.settled())
    assert (len(old.seen), len(new.seen)) == (1, 1)


async def follow(manager: Manager, after: int, count: int) -> list[int]:
    seen: list[int] = []
    async for recorded in manager.follow("c", after):
        seen.append(recorded.seq)
        if len(seen) == count:
            break
    return seen


@pytest.mark.parametrize("buffered", [1, 256])
async def test_followers_see_stored_then_live_events_once_each(buffered: int) -> None:
    async with managing(limits=ManagerLimits(followed=buffered)) as manager:
        await tell(manager, "hello")
        followers = [asyncio.create_task(follow(manager, after, 22 - after)) for after in (0, 3, 8)]
        for _ in range(2):
            await tell(manager, "hello")
        async with asyncio.timeout(5):
            assert [await task for task in followers] == [list(range(n + 1, 23)) for n in (0, 3, 8)]


async def test_followers_end_with_the_manager() -> None:
    async with managing() as manager:
        await tell(manager, "hello")
        following = asyncio.create_task(follow(manager, 0, 99))
        await asyncio.sleep(0.01)
    assert len(await following) == 8


async def test_facts_of_others_are_recorded() -> None:
    async with managing(clock=Clock(5.0)) as manager:
        await tell(manager, "hello")
        rated = await manager.record("c", ev.Rated(message="1.1", score=1))
        assert (rated.seq, rated.turn, rated.at) == (9, 1, 5.0) and rated.position > 0
        assert (await manager.read("c", after=8))[0] == rated
        with pytest.raises(NotFound):
            await manager.record("nobody", ev.Rated(message="1.1", score=1))
        with pytest.raises(IllegalHistory):
            await manager.record("c", ev.Corrected(target=7, intent="x"))
        assert await tell(manager, "hello") == ["Hello!"]


async def test_an_erased_conversation_is_forgotten_and_may_start_again() -> None:
    store = MemoryStore()
    async with managing(store) as manager:
        await tell(manager, "hello", "k")
        following = asyncio.create_task(follow(manager, 8, 2))
        await asyncio.sleep(0.01)
        assert await manager.erase("c") == 8
        assert await tell(manager, "hello", "k") == ["Hello!"]
        assert await following == [9, 10]
    assert kinds(store)[:3] == ["erased", "started", "received"]


async def test_erasing_breaks_off_the_turn_under_way() -> None:
    reader = Reader()
    reader.gate.clear()
    async with managing(given=models(reader)) as manager:
        receipt = await manager.submit(inbound("hello"))
        await manager.erase("c")
        with pytest.raises(NotFound, match="erased"):
            await receipt.settled()


# Crashes and shutting down


async def test_what_a_crash_left_open_is_finished_once() -> None:
    store, stuck = MemoryStore(), Reader()
    stuck.gate.clear()
    async with managing(store, models(stuck)) as manager:
        receipts = [await manager.submit(inbound("hello", f"k{name}", name)) for name in "abc"]
        await manager.submit(inbound("hello", "k2", "c"))
    for receipt in receipts:
        with pytest.raises(StorageUnavailable):
            await receipt.settled()
    async with managing(store) as manager:
        assert await manager.recover() == 3
        assert await manager.recover() == 0
    assert [kinds(store, name).count("settled") for name in "abc"] == [1, 1, 2]


def reached(reader: Reader, times: int) -> bool:
    return len(reader.seen) == times


async def test_a_message_that_ends_the_process_each_time_is_given_up() -> None:
    store, deadly, other = MemoryStore(), Reader(), Reader()
    deadly.gate.clear()
    async with managing(store, models(deadly)) as manager:
        await manager.submit(inbound("hello"))
    for times in (2, 3):
        async with managing(store, models(deadly)) as manager:
            recovering = asyncio.create_task(manager.recover())
            await eventually(partial(reached, deadly, times))
            recovering.cancel()
    async with managing(store, models(other)) as manager:
        assert await manager.recover() == 1
    assert (len(deadly.seen), other.seen) == (3, [])
    assert kinds(store)[-3:] == ["failed", "replied", "settled"]
    assert found(store, ev.Failed)[0].code == "gave_up" and found(store, ev.Settled)[0].outcome == "failed"


async def test_an_action_is_repeated_after_a_crash_with_the_same_key() -> None:
    store, keys = MemoryStore(), []

    async def hang() -> ActionResult:
        await asyncio.sleep(60)
        raise AssertionError

    class Hanging(Actions):
        async def run(self, call: ActionCall) -> ActionResult:
            keys.append(call.key)
            return await (hang() if len(keys) == 1 else super().run(call))

    actions = Hanging(action_order=lambda call: ActionResult(messages=("utter_hello",)))
    async with managing(store, models(actions=actions)) as manager:
        await manager.submit(inbound("order"))
        await eventually(lambda: len(keys) == 1)
    async with managing(store, models(actions=actions)) as manager:
        await manager.recover()
    assert keys == ["c/1/act"] * 2 and found(store, ev.Settled)[0].outcome == "replied"


async def test_draining_finishes_what_runs_and_refuses_the_rest() -> None:
    store, reader = MemoryStore(), Reader()
    reader.gate.clear()
    async with managing(store, models(reader)) as manager:
        receipt = await manager.submit(inbound("hello"))
        draining = asyncio.create_task(manager.drain())
        await asyncio.sleep(0.01)
        with pytest.raises(Overloaded, match="shutting down"):
            await manager.submit(inbound("hello"))
        reader.gate.set()
        assert await draining and (await receipt.settled()).outcome == "replied"


# Scripts


async def test_a_script_that_goes_in_circles_ends_in_a_visible_failure() -> None:
    again = Story(name="again", rule=True, steps=(Gap(), Did(action="utter_hello"), Did(action="utter_hello"), Gap()))
    first = Story(name="hello", rule=True, steps=(Gap(), Heard(intent="hello"), Did(action="utter_hello"), Gap()))
    endless = program().model_copy(update={"flows": {}, "script": Script(rules=(first, again)), "id": "endless"})
    store = MemoryStore()
    async with managing(store, models(program=endless)) as manager:
        receipt = await manager.submit(inbound("hello"))
        outcome = await receipt.settled()
    assert outcome.outcome == "failed"
    assert [failed.code for failed in found(store, ev.Failed)] == ["too_many_steps"]
