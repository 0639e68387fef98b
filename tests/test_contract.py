"""The contract with users, held against random lives of the real manager on the real log.

Messages are sent and sent again, clients come back and read on, conversations are rated and erased, models are swapped,
the process is restarted and killed. After every life the history checker must find nothing.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as some
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.core import events as ev
from bot.core.errors import DuplicateMismatch, NotFound, Overloaded
from bot.core.protocols import ActionResult, Receipt
from bot.manager import Manager, ManagerLimits
from bot.models import Models
from bot.store import SqlStore
from bot.store_open import open_file
from tests.fakes import Actions, Reader, Shelf, inbound, models
from tests.history import History, Read, Sent, check

CONVERSATIONS = some.sampled_from(["c0", "c1", "c2"])
WORDS = some.sampled_from(["hello", "order", "returns", "broken"])


class Sometimes(Reader):
    """Fails on the word "broken"."""

    async def __call__(self, utterance: Any) -> Any:
        if utterance.text == "broken":
            raise ValueError("broken")
        return await super().__call__(utterance)


class Life(RuleBasedStateMachine):
    """One bot and its clients. `steps` counts those of all lives."""

    steps = 0

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = Path(tempfile.mkdtemp())
        self.folders, self.keys, self.times = itertools.count(), itertools.count(), itertools.count()
        self.reader = Sometimes()
        self.histories: dict[str, History] = {}
        self.words: dict[tuple[str, str], str] = {}
        self.receipts: dict[tuple[str, str], Receipt] = {}

    def wait(self, work: Any) -> Any:
        async def timed() -> Any:
            async with asyncio.timeout(20):
                return await work

        return self.loop.run_until_complete(timed())

    def given(self) -> Models:
        actions = Actions(action_order=lambda call: ActionResult(slots={"size": 1}, messages=("utter_hello",)))
        return models(self.reader, retrieve=Shelf(), actions=actions)

    @initialize()
    def begin(self) -> None:
        self.path = self.root / f"{next(self.folders)}.db"
        self.wait(self.start())

    async def start(self) -> None:
        self.store = SqlStore(self.path)
        await self.store.start()
        self.manager = Manager(self.store, self.given(), ManagerLimits(waiting=5, cached=2, followed=4))
        recovering = asyncio.create_task(self.manager.recover())
        if self.reader.gate.is_set():
            await recovering
        else:
            await asyncio.sleep(0.01)
            recovering.cancel()

    @invariant()
    def counted(self) -> None:
        Life.steps += 1

    def history(self, conversation: str) -> History:
        return self.histories.setdefault(conversation, History())

    async def submit(self, conversation: str, key: str, words: str) -> None:
        began, history = float(next(self.times)), self.history(conversation)
        try:
            receipt = await self.manager.submit(inbound(words, key, conversation))
        except Overloaded:
            history.sent.append(Sent(key, began, float(next(self.times)), "fail"))
            return
        first = self.receipts.get((conversation, key))
        assert receipt.duplicate or first is None
        assert first is None or (first.seq, first.turn) == (receipt.seq, receipt.turn)
        self.receipts[conversation, key] = receipt
        history.sent.append(Sent(key, began, float(next(self.times)), "ok", receipt.seq))

    @rule(conversation=CONVERSATIONS, words=WORDS)
    def send(self, conversation: str, words: str) -> None:
        key = f"k{next(self.keys)}"
        self.words[conversation, key] = words
        self.wait(self.submit(conversation, key, words))

    @rule(words=some.lists(some.tuples(CONVERSATIONS, WORDS), min_size=2, max_size=6))
    def send_many_at_once(self, words: list[tuple[str, str]]) -> None:
        async def all_of_them() -> None:
            pairs = [(conversation, f"k{next(self.keys)}", text) for conversation, text in words]
            self.words.update({(conversation, key): text for conversation, key, text in pairs})
            await asyncio.gather(*(self.submit(*pair) for pair in pairs))

        self.wait(all_of_them())

    @precondition(lambda self: self.words)
    @rule(data=some.data(), times=some.integers(1, 3))
    def send_again(self, data: Any, times: int) -> None:
        conversation, key = data.draw(some.sampled_from(sorted(self.words)))
        words = self.words[conversation, key]

        async def all_of_them() -> None:
            await asyncio.gather(*(self.submit(conversation, key, words) for _ in range(times)))

        self.wait(all_of_them())

    @precondition(lambda self: self.receipts)
    @rule(data=some.data())
    def use_a_key_for_another_message(self, data: Any) -> None:
        conversation, key = data.draw(some.sampled_from(sorted(self.receipts)))
        with pytest.raises(DuplicateMismatch):
            self.wait(self.manager.submit(inbound("something else", key, conversation)))

    @precondition(lambda self: self.histories)
    @rule(data=some.data(), after=some.integers(0, 30))
    def come_back_and_read_on(self, data: Any, after: int) -> None:
        conversation = data.draw(some.sampled_from(sorted(self.histories)))
        self.wait(self.read_on(conversation, after))

    async def read_on(self, conversation: str, after: int) -> None:
        began, last = float(next(self.times)), await self.store.last_seq(conversation)
        events: list[ev.Recorded] = []
        if last > after:
            async for recorded in self.manager.follow(conversation, after):
                events.append(recorded)
                if recorded.seq >= last:
                    break
        self.history(conversation).reads.append(Read(min(after, last), began, tuple(events)))

    @precondition(lambda self: self.histories)
    @rule(data=some.data())
    def rate(self, data: Any) -> None:
        conversation = data.draw(some.sampled_from(sorted(self.histories)))
        if self.wait(self.store.last_seq(conversation)) and self.receipts:
            try:
                self.wait(self.manager.record(conversation, ev.Rated(message="1.1", score=1)))
            except NotFound:
                assert not any(pair[0] == conversation for pair in self.receipts)

    @rule()
    def stall(self) -> None:
        self.reader.gate.clear()

    @rule()
    def go_on(self) -> None:
        self.reader.gate.set()
        self.wait(self.all_settled())

    async def all_settled(self) -> None:
        await self.manager.recover()
        for (conversation, key), receipt in self.receipts.items():
            if receipt.conversation:
                again = await self.manager.submit(inbound(self.words[conversation, key], key, conversation))
                self.history(conversation).shown += (await again.settled()).messages

    @rule()
    def promote(self) -> None:
        self.manager.models = self.given()

    @rule()
    def restart(self) -> None:
        async def again() -> None:
            await self.manager.drain(0.01)
            await self.manager.close()
            await self.store.stop()
            await self.start()

        self.wait(again())

    @rule()
    def kill(self) -> None:
        """What is on the disk at this moment is all that is left."""

        async def again() -> None:
            lock = open_file(self.path)
            lock.execute("BEGIN IMMEDIATE")  # between two commits, as copying takes time and dying does not
            copy = self.root / f"{next(self.folders)}.db"
            for suffix in ("", "-wal"):
                shutil.copy(f"{self.path}{suffix}", f"{copy}{suffix}")
            lock.close()
            await self.manager.close()
            await self.store.stop()
            self.path = copy
            await self.start()

        self.wait(again())

    @precondition(lambda self: self.receipts)
    @rule(data=some.data())
    def erase(self, data: Any) -> None:
        conversation = data.draw(some.sampled_from(sorted({pair[0] for pair in self.receipts})))
        self.wait(self.manager.erase(conversation))
        (stone,) = self.wait(self.store.read(conversation))
        assert isinstance(stone.event, ev.Erased)
        del self.histories[conversation]
        for pair in [pair for pair in self.words if pair[0] == conversation]:
            del self.words[pair]
            self.receipts.pop(pair, None)

    def teardown(self) -> None:
        try:
            self.reader.gate.set()
            self.wait(self.all_settled())
            for conversation, history in self.histories.items():
                log = self.wait(self.store.read(conversation))
                assert check(history, log) == []
            assert list(self.wait(self.store.open_turns())) == []
        finally:
            self.wait(self.manager.close())
            self.wait(self.store.stop())
            self.loop.close()
            shutil.rmtree(self.root)


@pytest.mark.parametrize(("lives", "steps"), [(2, 20), pytest.param(130, 5000, marks=pytest.mark.slow)])
def test_the_contract_holds_in_every_life(lives: int, steps: int) -> None:
    Life.steps = 0
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=lives,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Life.steps >= steps
