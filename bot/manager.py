"""The dialogue manager: takes messages, keeps their order, and sees to it that each ends in one visible outcome.

Every live conversation has a mailbox (`bot.mailbox`) and at most one worker, which performs its turns one after another
(`bot.turns`). A message is acknowledged when its `Received` is committed; understanding may begin earlier, showing may
not. Conversations that are idle stay folded in memory while there is room, so a long talk costs no more than a short
one. What a crash or a full disk left open is taken up again from the log: fold, and ask `decide`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from bot.core import policy
from bot.core.errors import BotError, Busy, Conflict, DuplicateMismatch, NotFound, Overloaded, StorageUnavailable
from bot.core.events import Event, Received, Recorded, Replied, Settled, Started
from bot.core.messages import Inbound
from bot.core.protocols import EventStore, Outcome, Receipt
from bot.follow import Followers
from bot.mailbox import Mailbox, TurnBook, committed
from bot.turns import Deadlines, Decide, Models, Observer, Performer, Timing

__all__ = ["Deadlines", "Manager", "ManagerLimits", "Models", "Timing"]

_PAGE = 64


@dataclass(frozen=True, slots=True)
class ManagerLimits:
    """`waiting`: messages of one conversation without an outcome. `active`: conversations being answered at a time.

    `cached`: idle conversations kept in memory. `followed`: events buffered for a slow follower. `retry`: seconds until
    a conversation that the log could not take is tried again.
    """

    waiting: int = 16
    active: int = 2000
    cached: int = 5000
    followed: int = 256
    retry: float = 1.0
    deadlines: Deadlines = field(default_factory=Deadlines)


def _unobserved(timing: Timing) -> None:
    """Nobody measures."""


class Manager:
    """A `Gateway`. `models` is what new turns use; assign another value to swap, turns under way keep theirs."""

    def __init__(
        self,
        store: EventStore,
        models: Models,
        limits: ManagerLimits | None = None,
        *,
        clock: Callable[[], float] = time.time,
        observe: Observer = _unobserved,
        decide: Decide = policy.decide,
    ) -> None:
        self.models, self.limits = models, limits or ManagerLimits()
        self._store, self._clock, self._observe = store, clock, observe
        self._performer = Performer(decide, clock, observe, self.limits.deadlines)
        self._followers = Followers(store, self.limits.followed)
        self._boxes: OrderedDict[str, Mailbox] = OrderedDict()
        self._loading: dict[str, asyncio.Future[None]] = {}
        self._awaited: Counter[str] = Counter()
        self._revivals: dict[str, int] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing = False

    # Gateway

    async def submit(self, inbound: Inbound) -> Receipt:
        """See `Gateway.submit`."""
        started = time.perf_counter()
        self._admit()
        conversation = inbound.address.conversation
        box = await self._open(conversation)
        try:
            receipt = await self._take(box, inbound)
        except Conflict as conflict:
            # Another process wrote to the conversation. What it wrote may be this very message.
            box.die(conflict)
            receipt = await self._take(await self._open(conversation), inbound)
        self._observe(Timing(conversation, receipt.turn, "ack", time.perf_counter() - started))
        return receipt

    async def record(self, conversation: str, event: Event) -> Recorded:
        """See `Gateway.record`."""
        box = await self._open(conversation)
        if box.state.status in ("new", "erased"):
            raise NotFound(f"there is no conversation {conversation!r}")
        noted = box.note(event, self._clock())
        stored = await committed(box.flush())
        self._wake(box)
        return next(recorded for recorded in stored if recorded.seq == noted.seq)

    async def read(self, conversation: str, after: int = 0, limit: int | None = None) -> Sequence[Recorded]:
        """See `Gateway.read`."""
        return await self._store.read(conversation, after, limit)

    def follow(self, conversation: str, after: int) -> AsyncIterator[Recorded]:
        """See `Gateway.follow`. Ends when the manager closes."""
        return self._followers.follow(conversation, after)

    # Operation

    async def erase(self, conversation: str) -> int:
        """Forget the conversation, in the log and in memory; the number of events gone. An open turn is broken off.

        Raises:
            NotFound: there is no such conversation.
        """
        box = await self._open(conversation)
        box.die(NotFound(f"conversation {conversation!r} was erased"))
        if box.worker is not None:
            box.worker.cancel()
            await asyncio.wait([box.worker])
        gone = await self._store.erase(conversation, self._clock())
        self._followers.publish(conversation, await self._store.read(conversation))
        return gone

    async def recover(self) -> int:
        """Give every acknowledged message that has none its outcome; the number of conversations concerned."""
        conversations = await self._store.open_turns()
        limit = asyncio.Semaphore(16)

        async def finish(conversation: str) -> None:
            async with limit:
                box = await self._open(conversation)
                if box.worker is not None:
                    await asyncio.wait([box.worker])

        await asyncio.gather(*map(finish, conversations))
        return len(conversations)

    async def drain(self, seconds: float = 10.0) -> bool:
        """Take no more messages and let the turns under way finish; whether all did in time."""
        self._closing = True
        workers = [box.worker for box in self._boxes.values() if box.worker is not None]
        if not workers:
            return True
        _, left = await asyncio.wait(workers, timeout=seconds)
        return not left

    async def close(self) -> None:
        """Break off what runs. Acknowledged messages stay in the log for `recover`."""
        self._closing = True
        self._followers.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *(box.rest() for box in self._boxes.values()), return_exceptions=True)
        for box in list(self._boxes.values()):
            box.die(StorageUnavailable("the bot is shutting down; the answer comes after its restart"))

    # Taking messages

    def _admit(self) -> None:
        if self._closing:
            raise Overloaded("the bot is shutting down; send again in a moment", retry_after=5.0)
        if len(self._tasks) >= self.limits.active:
            raise Overloaded(f"{len(self._tasks)} conversations are being answered already; send again in a moment")

    async def _take(self, box: Mailbox, inbound: Inbound) -> Receipt:
        if inbound.key in box.keys:
            return await self._again(box, inbound)
        if len(box.open) >= self.limits.waiting:
            raise Busy(f"{len(box.open)} messages of this conversation wait for an answer; wait for one")
        address, now = inbound.address, self._clock()
        if box.state.status in ("new", "erased"):
            program = self.models.program.id
            box.note(Started(channel=address.channel, sender=address.sender, program=program), now)
        received = Received(
            message=inbound.message,
            key=inbound.key,
            channel=address.channel,
            metadata=inbound.metadata,
            payloads=inbound.payloads,
            claimed=inbound.claimed,
        )
        book = box.book(box.note(received, now, turn=box.state.turn + 1))
        book.commit = box.flush()
        # The worker may think while the commit is under way; it shows nothing before its own commit, which comes later.
        self._wake(box)
        await committed(book.commit)
        return _receipt(box, book, duplicate=False)

    async def _again(self, box: Mailbox, inbound: Inbound) -> Receipt:
        """A message id that was used before: the same message gets the same receipt."""
        book = box.known(inbound.key)
        if book is None:
            book = await self._look_up(box, inbound.key)
        if book.parts != inbound.message.parts:
            raise DuplicateMismatch(
                f"message id {inbound.key!r} was used for another message in this conversation; use a new id for each"
            )
        await committed(book.commit)
        return _receipt(box, book, duplicate=True)

    async def _look_up(self, box: Mailbox, key: str) -> TurnBook:
        """An older turn, put together from the log."""
        found = await self._store.find(box.state.id, key)
        if found is None or not isinstance(found.event, Received):
            raise Conflict(f"message id {key!r} was used, but its conversation has been erased meanwhile")
        if found.turn in box.open:
            return box.open[found.turn]
        book = TurnBook(found.turn, found.seq, key, found.event.message.parts)
        after = found.seq
        while book.ending is None:
            page = await self._store.read(box.state.id, after, _PAGE)
            if not page:
                raise Conflict(f"turn {found.turn} of {box.state.id!r} has no outcome in the log yet")
            after = page[-1].seq
            _enter(book, page)
        return book

    # Mailboxes

    async def _open(self, conversation: str) -> Mailbox:
        """The live mailbox of a conversation, read from the log if need be.

        While somebody waits for it, it is not forgotten to make room: two mailboxes of a conversation would contradict.
        """
        while (box := self._boxes.get(conversation)) is None:
            self._awaited[conversation] += 1
            try:
                if conversation in self._loading:
                    await asyncio.wait([self._loading[conversation]])
                else:
                    await self._load(conversation)
            finally:
                self._awaited[conversation] -= 1
                if not self._awaited[conversation]:
                    del self._awaited[conversation]
        self._boxes.move_to_end(conversation)
        return box

    async def _load(self, conversation: str) -> None:
        box = Mailbox(conversation, self._store, self._followers.publish)
        box.on_death = self._died
        self._loading[conversation] = over = asyncio.get_running_loop().create_future()
        try:
            await box.load()
        finally:
            del self._loading[conversation]
            over.set_result(None)
        box.on_end = self._ended  # now, so that outcomes of long ago are not reported
        self._boxes[conversation] = box
        self._forget_idle()
        self._wake(box)

    def _forget_idle(self) -> None:
        """Keep the cache to its size; those at work stay."""
        surplus = len(self._boxes) - self.limits.cached
        if surplus > 0:
            # The longest unused first, and no look at the others: this is done for every new conversation.
            free = (name for name, box in self._boxes.items() if box.idle and name not in self._awaited)
            for name in list(islice(free, surplus)):
                del self._boxes[name]

    def _wake(self, box: Mailbox) -> None:
        """See to it that a worker goes on where the facts end."""
        if box.worker is None and box.state.current is not None and box.failure is None:
            box.worker = self._spawn(self._work(box))

    async def _work(self, box: Mailbox) -> None:
        try:
            while await self._performer.turn(box, self.models):
                pass
            self._revivals.pop(box.state.id, None)
        except BotError as error:
            box.die(error)
        finally:
            box.worker = None
        if box.failure is None and not self._closing:
            self._wake(box)

    def _ended(self, box: Mailbox, book: TurnBook, outcome: Outcome) -> None:
        seconds = time.perf_counter() - book.since
        self._observe(Timing(box.state.id, book.number, "turn", seconds, box.state.channel, outcome.outcome))

    def _died(self, box: Mailbox, owing: bool) -> None:
        """Memory and log differ: forget the mailbox; if it owed an answer, try again from the log."""
        conversation = box.state.id
        if self._boxes.get(conversation) is box:
            del self._boxes[conversation]
        if owing and not self._closing and not isinstance(box.failure, NotFound):
            self._spawn(self._revive(conversation))

    async def _revive(self, conversation: str) -> None:
        """Open the conversation again, later each time; opening wakes its worker."""
        while not self._closing:
            times = self._revivals.get(conversation, 0)
            self._revivals[conversation] = times + 1
            await asyncio.sleep(self.limits.retry * min(2**times, 32))
            try:
                await self._open(conversation)
                return
            except StorageUnavailable:
                continue

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _receipt(box: Mailbox, book: TurnBook, *, duplicate: bool) -> Receipt:
    return Receipt(box.state.id, book.seq, book.number, duplicate, book.outcome)


def _enter(book: TurnBook, page: Sequence[Recorded]) -> None:
    for recorded in page:
        if recorded.turn != book.number:
            continue
        if isinstance(recorded.event, Replied):
            book.shown.append(recorded.event.message)
        elif isinstance(recorded.event, Settled):
            book.end(Outcome(book.number, recorded.event.outcome, tuple(book.shown)))
            return
