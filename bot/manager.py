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
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any
from uuid import uuid4

from bot.by_hand import ByHand
from bot.core import policy
from bot.core.errors import BotError, Busy, Conflict, DuplicateMismatch, NotFound, Overloaded, StorageUnavailable
from bot.core.events import Entity, Event, Predicted, Received, Recorded, Scored, Started, Understood
from bot.core.messages import Address, Inbound, Message
from bot.core.protocols import Draft, EventStore, Outcome, Receipt
from bot.follow import Followers
from bot.mailbox import Mailbox, TurnBook, committed, look_up
from bot.models import Deadlines, Models
from bot.turns import Decide, Observer, Performer, Timing, unobserved


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


class Manager:
    """A `Gateway`. `models` is what new turns use; assign another value to swap, turns under way keep theirs.

    While `select` is set, it tells what a conversation's turns use instead, by the conversation's id.
    """

    def __init__(
        self,
        store: EventStore,
        models: Models,
        limits: ManagerLimits | None = None,
        *,
        clock: Callable[[], float] = time.time,
        observe: Observer = unobserved,
        decide: Decide = policy.decide,
    ) -> None:
        self.models, self.limits = models, limits or ManagerLimits()
        self.select: Callable[[str], Models] | None = None
        self._store, self._clock, self._observe = store, clock, observe
        self.followers = Followers(store, self.limits.followed)
        self._performer = Performer(decide, clock, observe, self.limits.deadlines, self.followers.draft)
        self._boxes: OrderedDict[str, Mailbox] = OrderedDict()
        self._loading: dict[str, asyncio.Future[None]] = {}
        self._awaited: Counter[str] = Counter()
        self._revivals: dict[str, int] = {}
        self._left_open: set[str] = set()
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

    async def trigger(self, address: Address, intent: str, entities: Sequence[Entity] = (), name: str = "") -> Receipt:
        """See `Gateway.trigger`. It waits until no turn is open, so that the message and its meaning are one commit."""
        self._admit()
        key = name or f"x.{uuid4().hex}"
        try:
            return await self._triggered(address, intent, entities, key)
        except Conflict as conflict:  # as in `submit`
            (await self._open(address.conversation)).die(conflict)
            return await self._triggered(address, intent, entities, key)

    async def _triggered(self, address: Address, intent: str, entities: Sequence[Entity], key: str) -> Receipt:
        box = await self._at_rest(address.conversation)
        message = Message(id=f"u.{key}", parts=())
        if key in box.keys:
            return await self._again(box, Inbound(address=address, message=message, key=key))
        meant = Understood(
            text="",
            language="",
            intents=(Scored(name=intent, score=1.0),),
            in_scope=1.0,
            entities=tuple(entities),
            bundle=self._models(address.conversation).bundle,
            source="external",
        )
        received = Received(
            message=message, key=key, channel=address.channel, metadata={"is_external": True}, live=True
        )
        return await self._begin(box, address, received, meant)

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
        return self.followers.follow(conversation, after)

    def follow_drafts(self, conversation: str, after: int) -> AsyncIterator[Recorded | Draft]:
        """See `Gateway.follow_drafts`."""
        return self.followers.follow_drafts(conversation, after)

    # Operation

    def _models(self, conversation: str) -> Models:
        return self.models if self.select is None else self.select(conversation)

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
        self.followers.publish(conversation, await self._store.read(conversation))
        return gone

    async def write(self, conversation: str, history: Callable[[Mailbox], Iterable[Recorded]]) -> None:
        """Append a history that follows what is there, all or none; it is asked for when no turn is open.

        Raises:
            IllegalHistory: it cannot follow.
        """
        box = await self._at_rest(conversation)
        for fact in list(history(box)):
            noted = box.note(fact.event, fact.at, fact.turn)
            if isinstance(fact.event, Received):
                box.book(noted)
        await committed(box.flush())
        self._wake(box)

    async def act(self, conversation: str, chosen: Predicted) -> Sequence[Recorded]:
        """Do an action that somebody chose by hand, outside of any turn; the facts that came of it.

        Raises:
            NotFound: there is no such conversation.
        """
        box = await self._at_rest(conversation)
        if box.state.status in ("new", "erased"):
            raise NotFound(f"there is no conversation {conversation!r}")
        begun = box.state.seq
        box.worker = self._spawn(self._act(box, chosen))
        await asyncio.wait([box.worker])
        return await self._store.read(conversation, begun)

    async def _act(self, box: Mailbox, chosen: Predicted) -> None:
        try:
            await replace(self._performer, decide=ByHand(chosen)).turn(box, self._models(box.state.id))
        except BotError as error:
            box.die(error)
        finally:
            box.worker = None
        if box.failure is None:
            self._wake(box)

    def hush(self, conversation: str) -> None:
        """Word the answer no further: nobody listens any more. What was approved goes to the log instead."""
        box = self._boxes.get(conversation)
        if box is not None and box.wording is not None:
            box.wording.cancel()

    async def recover(self) -> int:
        """Give every acknowledged message that has none its outcome; the number of conversations concerned."""
        conversations = await self._store.open_turns()
        self._left_open.update(name for name in conversations if name not in self._boxes)
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
        self.followers.close()
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
        received = Received(
            message=inbound.message,
            key=inbound.key,
            channel=inbound.address.channel,
            metadata=inbound.metadata,
            payloads=inbound.payloads,
            claimed=inbound.claimed,
            live=True,
        )
        return await self._begin(box, inbound.address, received)

    async def _begin(self, box: Mailbox, address: Address, received: Received, *then: Event) -> Receipt:
        """Commit a message, with what is known of it from the start."""
        now = self._clock()
        if box.state.status in ("new", "erased"):
            program = self.models.program.id
            box.note(Started(channel=address.channel, sender=address.sender, program=program), now)
        book = box.book(box.note(received, now, turn=box.state.turn + 1))
        for event in then:
            box.note(event, now)
        book.commit = box.flush()
        # The worker may think while the commit is under way; it shows nothing before its own commit, which comes later.
        self._wake(box)
        await committed(book.commit)
        return _receipt(box, book, duplicate=False)

    async def _again(self, box: Mailbox, inbound: Inbound) -> Receipt:
        """A message id that was used before: the same message gets the same receipt."""
        book = box.known(inbound.key)
        if book is None:
            book = await look_up(self._store, box, inbound.key)
        if book.parts != inbound.message.parts:
            raise DuplicateMismatch(
                f"message id {inbound.key!r} was used for another message in this conversation; use a new id for each"
            )
        await committed(book.commit)
        return _receipt(box, book, duplicate=True)

    # Mailboxes

    async def _at_rest(self, conversation: str) -> Mailbox:
        """The mailbox at a moment when no turn is open and nobody works in it."""
        while True:
            box = await self._open(conversation)
            self._wake(box)
            if box.worker is None:
                return box
            await asyncio.wait([box.worker])

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
        box = Mailbox(conversation, self._store, self.followers.publish)
        box.on_death = self._died
        self._loading[conversation] = over = asyncio.get_running_loop().create_future()
        try:
            await box.load()
        finally:
            del self._loading[conversation]
            over.set_result(None)
        box.on_end = self._ended  # now, so that outcomes of long ago are not reported
        self._boxes[conversation] = box
        self.forget(self.limits.cached)
        self._wake(box)

    def forget(self, kept: int = 0) -> None:
        """Keep so many conversations in memory, those used last; those at work stay."""
        surplus = len(self._boxes) - kept
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
            if box.state.id in self._left_open:
                self._left_open.discard(box.state.id)
                await box.try_again(self._clock())
            while await self._performer.turn(box, self._models(box.state.id)):
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
