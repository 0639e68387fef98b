"""One live conversation in memory: its folded state, the facts not yet committed, and who waits for an outcome.

`note` puts a fact into the state at once; `flush` commits everything noted so far. Between the two nothing may be shown
to anybody. Commits of a conversation are asked for in order, so a commit implies all before it. When one fails, memory
is ahead of the log: the mailbox is dead, and the conversation is read anew from the log.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.core import events as ev
from bot.core.conversation import Conversation, evolve
from bot.core.errors import BotError, Conflict, StorageUnavailable
from bot.core.messages import Message, Part
from bot.core.protocols import EventStore, Outcome

_PAGE, _FEW = 1000, 64
_REMEMBERED = 16
"""Turns whose outcome a mailbox keeps at hand for a client that sends again."""

_TRIES = 3
"""How often a turn is worked on before it is given up because the process ends each time."""

Commit = asyncio.Future[Sequence[ev.Recorded]]
Publish = Callable[[str, Sequence[ev.Recorded]], None]


@dataclass(slots=True, eq=False)
class TurnBook:
    """What one user message has led to. `parts` tell whether a second message with the key is the same.

    `since` is the time it was opened, in seconds of `time.perf_counter`.
    """

    number: int
    seq: int
    key: str
    parts: tuple[Part, ...]
    shown: list[Message] = field(default_factory=list)
    commit: Commit | None = None
    ending: Outcome | BotError | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    since: float = field(default_factory=time.perf_counter)

    def end(self, ending: Outcome | BotError) -> None:
        """Tell all who wait."""
        if self.ending is None:
            self.ending = ending
            self.ended.set()

    async def outcome(self) -> Outcome:
        """How the turn ended; waits for it."""
        await self.ended.wait()
        assert self.ending is not None
        if isinstance(self.ending, BotError):
            raise self.ending
        return self.ending


async def committed(commit: Commit | None) -> Sequence[ev.Recorded]:
    """The stored events, once they are durable. The commit goes on when the one who waits is cancelled."""
    return () if commit is None else await asyncio.shield(commit)


class Mailbox:
    """See the module. `on_death` is called once, and told whether turns were left open; `on_end` for every outcome."""

    def __init__(self, conversation: str, store: EventStore, publish: Publish) -> None:
        self.state = Conversation(id=conversation)
        self.keys: set[str] = set()
        self.open: dict[int, TurnBook] = {}
        self.worker: asyncio.Task[None] | None = None
        self.wording: asyncio.Future[ev.Generated] | None = None
        self.failure: BotError | None = None
        self.on_death: Callable[[Mailbox, bool], None] = lambda box, owing: None
        self.on_end: Callable[[Mailbox, TurnBook, Outcome], None] = lambda box, book, outcome: None
        self._store, self._publish = store, publish
        self._recent: dict[str, TurnBook] = {}
        self._noted: list[ev.Recorded] = []
        self._ran: Counter[str] = Counter()
        self.memo: dict[str, Any] = {}
        self._commit: Commit | None = None

    async def load(self) -> None:
        """Read the conversation from the log."""
        while True:
            page = await self._store.read(self.state.id, self.state.seq, _PAGE)
            for recorded in page:
                self._follow(recorded)
                if isinstance(recorded.event, ev.Received):
                    self.book(recorded)
            self._take_in(page)
            if len(page) < _PAGE:
                return

    @property
    def idle(self) -> bool:
        """Whether the mailbox could be forgotten and read again later."""
        return self.worker is None and not self.open and not self._noted and self._commit is None

    def book(self, recorded: ev.Recorded) -> TurnBook:
        """Open the book of a received message."""
        assert isinstance(recorded.event, ev.Received)
        event = recorded.event
        book = TurnBook(recorded.turn, recorded.seq, event.key, event.message.parts)
        self.open[book.number] = self._recent[book.key] = book
        self.keys.add(book.key)
        if len(self._recent) > _REMEMBERED:
            del self._recent[next(iter(self._recent))]
        return book

    def known(self, key: str) -> TurnBook | None:
        """The book of a recent message with this key. An older one has to be found in the log."""
        return self._recent.get(key)

    def note(self, event: ev.Event, at: float, turn: int | None = None) -> ev.Recorded:
        """Let a fact follow; the turn is the open one unless told.

        Raises:
            IllegalHistory: it cannot follow. Nothing was noted.
        """
        self._alive()
        state = self.state
        if turn is None:
            turn = state.turn if state.current is None else state.current.number
        recorded = ev.Recorded(conversation=state.id, seq=state.seq + 1, turn=turn, at=at, event=event)
        self._follow(recorded)
        self._noted.append(recorded)
        return recorded

    async def try_again(self, at: float) -> None:
        """Count, durably, that an open turn is worked on once more; give it up when the process ended each time.

        Otherwise one message that kills the process (a fault in native code, memory) would do so at every start.

        Raises:
            BotError: the log could not be written; the mailbox is dead.
        """
        turn = self.state.current
        if turn is None:
            return
        given_up = ev.Failed(code="gave_up", stage="recover", detail=f"the process ended {_TRIES} times in this turn")
        self.note(ev.Retried() if turn.retries < _TRIES - 1 else given_up, at)
        await committed(self.flush())

    def _follow(self, recorded: ev.Recorded) -> None:
        self.state = evolve(self.state, recorded)
        event = recorded.event
        if event.kind == "action_ran":
            self._ran[event.step or event.action] += 1
        elif event.kind == "settled":
            self._ran.clear()

    def key(self, turn: int, step: str) -> str:
        """The idempotency key of an action of the open turn; the same when it is repeated after a crash."""
        times = self._ran[step]
        return f"{self.state.id}/{turn}/{step}" + (f"/{times + 1}" if times else "")

    async def history(self, after: int = 0) -> Sequence[ev.Recorded]:
        """The facts with seq above `after` up to now, those that are not committed yet too."""
        noted = [recorded for recorded in self._noted if recorded.seq > after]
        end = noted[0].seq if noted else self.state.seq + 1
        await self.rest()
        stored = await self._store.read(self.state.id, after)
        return [*(recorded for recorded in stored if recorded.seq < end), *noted]

    @property
    def something_to_show(self) -> bool:
        """Whether a reply waits for its commit."""
        return any(recorded.event.kind == "replied" for recorded in self._noted)

    def flush(self) -> Commit | None:
        """Start to commit what was noted; the last commit under way, None if all is durable."""
        self._alive()
        if self._noted:
            events, self._noted = self._noted, []
            commit = asyncio.ensure_future(self._store.append(self.state.id, events[0].seq - 1, events))
            # Before anybody waits for it: callbacks run in order, so those who wait find the books up to date.
            commit.add_done_callback(self._written)
            self._commit = commit
        return self._commit

    async def rest(self) -> None:
        """Wait until no commit is under way."""
        while self._commit is not None:
            await asyncio.wait([self._commit])

    def die(self, failure: BotError) -> None:
        """Give the conversation up; those who wait get the failure."""
        if self.failure is not None:
            return
        self.failure, self._noted = failure, []
        self.memo.clear()
        left, self.open = self.open, {}
        for book in left.values():
            book.end(failure)
        self.on_death(self, bool(left))

    def _alive(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _written(self, commit: Commit) -> None:
        if self._commit is commit:
            self._commit = None
        if commit.cancelled():
            self.die(StorageUnavailable(f"conversation {self.state.id!r} was closed"))
            return
        error = commit.exception()
        if error is None:
            stored = commit.result()
            self._take_in(stored)
            self._publish(self.state.id, stored)
        else:
            unknown = StorageUnavailable(f"the log failed with {type(error).__name__}: {error}")
            self.die(error if isinstance(error, BotError) else unknown)

    def _take_in(self, stored: Sequence[ev.Recorded]) -> None:
        """Enter replies and outcomes, now durable, into the books."""
        for recorded in stored:
            book, event = self.open.get(recorded.turn), recorded.event
            if book is None:
                continue
            if event.kind == "replied":
                book.shown.append(event.message)
            elif event.kind == "settled":
                del self.open[book.number]
                outcome = Outcome(book.number, event.outcome, tuple(book.shown))
                book.end(outcome)
                self.on_end(self, book, outcome)


async def look_up(store: EventStore, box: Mailbox, key: str) -> TurnBook:
    """The book of an older turn, put together from the log.

    Raises:
        Conflict: the log has no such turn, or no outcome of it yet.
    """
    found = await store.find(box.state.id, key)
    if found is None or not isinstance(found.event, ev.Received):
        raise Conflict(f"message id {key!r} was used, but its conversation has been erased meanwhile")
    if found.turn in box.open:
        return box.open[found.turn]
    book = TurnBook(found.turn, found.seq, key, found.event.message.parts)
    after = found.seq
    while book.ending is None:
        page = await store.read(box.state.id, after, _FEW)
        if not page:
            raise Conflict(f"turn {found.turn} of {box.state.id!r} has no outcome in the log yet")
        after = page[-1].seq
        _enter(book, page)
    return book


def _enter(book: TurnBook, page: Sequence[ev.Recorded]) -> None:
    for recorded in page:
        if recorded.turn != book.number:
            continue
        if isinstance(recorded.event, ev.Replied):
            book.shown.append(recorded.event.message)
        elif isinstance(recorded.event, ev.Settled):
            book.end(Outcome(book.number, recorded.event.outcome, tuple(book.shown)))
            return
