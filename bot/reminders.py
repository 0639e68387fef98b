"""Reminders: intents that fall due later, although nobody says anything.

What is due is worked out from the log, so a restart forgets nothing: the agenda is kept in a small file with the
position up to which it was read, and is read on from there. A reminder is triggered under a key made from its place in
the log, so that it comes once, even if the process died in between. What fell due while the bot was down comes at its
start, unless that is long ago: a reminder that comes a day late only puzzles.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from bot.core import events as ev
from bot.core.errors import BotError, Refused
from bot.core.messages import Address, Value
from bot.core.protocols import Gateway

_log = structlog.get_logger("understudy.reminders")
LATE = 24 * 3600.0
"""Seconds after which a reminder is no longer worth sending."""
_KINDS = frozenset(("received", "reminder_set", "reminder_cancelled", "erased"))
_PAGE = 1000
_NAP = 30.0
"""Seconds after which the clock is looked at again: it may have been set, or the machine have slept."""
_AT_ONCE = 16
_AGAIN = 500
"""Positions that are read again: commits of different conversations may be told out of order."""


class Log(Protocol):
    """The part of the store that is read here."""

    async def tail(self, after_position: int = 0, limit: int = 1000) -> Sequence[ev.Recorded]:
        """Events of all conversations with a position above this, in the order of the log."""
        ...


class Due(Value):
    """A reminder of a conversation; `position` is that of its fact."""

    conversation: str
    position: int
    reminder: ev.ReminderSet

    @property
    def key(self) -> str:
        """What it is triggered under."""
        return f"reminder.{self.position}"


class Agenda(BaseModel):
    """What is due, by conversation and name, as of a position in the log."""

    model_config = ConfigDict(extra="forbid")

    position: int = 0
    due: dict[str, dict[str, Due]] = {}

    def take(self, fact: ev.Recorded) -> bool:
        """Enter a fact; whether that changed what is due. Reading the same facts again, in order, changes nothing."""
        event, own = fact.event, self.due.get(fact.conversation, {})
        if not own and event.kind != "reminder_set":
            return False
        match event:
            case ev.ReminderSet():
                due = Due(conversation=fact.conversation, position=fact.position, reminder=event)
                self.due.setdefault(fact.conversation, {})[event.name] = due
                return True
            case ev.Received():
                over = [due for due in own.values() if _ended_by(event, due)]
            case ev.ReminderCancelled():
                over = [due for due in own.values() if _cancels(event, due.reminder)]
            case ev.Erased():
                over = list(own.values())
            case _:
                return False
        for due in over:
            self.drop(due)
        return bool(over)

    def drop(self, due: Due) -> None:
        """It is over."""
        own = self.due.get(due.conversation, {})
        if own.get(due.reminder.name) == due:
            del own[due.reminder.name]
        if not own:
            self.due.pop(due.conversation, None)

    def all(self) -> Iterator[Due]:
        """Every reminder."""
        for own in self.due.values():
            yield from own.values()


def _ended_by(event: ev.Received, due: Due) -> bool:
    """Whether a message is the reminder itself, or makes it needless. Nobody says what comes from outside."""
    if event.key == due.key:
        return True
    return due.reminder.cancelled_by_message and not event.metadata.get("is_external")


def _cancels(event: ev.ReminderCancelled, reminder: ev.ReminderSet) -> bool:
    return (
        event.name in (None, reminder.name)
        and event.intent in (None, reminder.intent)
        and event.entities in ((), reminder.entities)
    )


class Reminders:
    """Triggers what falls due. `path` is where the agenda is kept; `clock` gives seconds since 1970 UTC.

    `retry` is the wait in seconds after the gateway refused.
    """

    def __init__(self, log: Log, gateway: Gateway, path: Path, clock: Callable[[], float], retry: float = 1.0) -> None:
        self._log, self._gateway, self._path, self._clock, self._retry = log, gateway, path, clock, retry
        self._agenda, self._kept = _read(path), ""
        self._early: list[ev.Recorded] | None = []
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the log on from where the agenda ends, then trigger what falls due.

        From before this call on `see` must be told of every commit.
        """
        position = max(0, self._agenda.position - _AGAIN)
        while page := await self._log.tail(position, _PAGE):
            position = page[-1].position
            self._enter(page)
        early, self._early = self._early or [], None
        self._enter([fact for fact in early if fact.position > position])
        self._keep()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Trigger nothing more; the rest stays due."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._keep()

    def see(self, facts: Sequence[ev.Recorded]) -> None:
        """Take note of facts that were committed."""
        if self._early is not None:
            self._early += facts
        elif self._enter(facts):
            self._news.set()

    def _enter(self, facts: Sequence[ev.Recorded]) -> bool:
        changed = [self._agenda.take(fact) for fact in facts if fact.event.kind in _KINDS]
        if facts:
            self._agenda.position = max(self._agenda.position, facts[-1].position)
        return any(changed)

    async def _run(self) -> None:
        limit = asyncio.Semaphore(_AT_ONCE)
        while True:
            self._news.clear()
            await self._catch_up()
            self._forget_late()
            now = self._clock()
            due = [each for each in self._agenda.all() if each.reminder.due <= now]
            await asyncio.gather(*(self._fire(each, limit) for each in due))
            self._keep()
            soonest = min((each.reminder.due for each in self._agenda.all()), default=math.inf)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(_NAP, soonest - self._clock()))):
                    await self._news.wait()

    async def _catch_up(self) -> None:
        """Enter what another process wrote, such as an erasure."""
        with contextlib.suppress(BotError):
            while page := await self._log.tail(self._agenda.position, _PAGE):
                self._enter(page)

    def _forget_late(self) -> None:
        limit = self._clock() - LATE
        late = [due for due in self._agenda.all() if due.reminder.due < limit]
        for due in late:
            self._agenda.drop(due)
        if late:
            _log.warning("reminders that fell due more than a day ago are not sent", count=len(late))

    async def _fire(self, due: Due, limit: asyncio.Semaphore) -> None:
        reminder = due.reminder
        async with limit:
            try:
                address = await self._address(due.conversation)
                await self._gateway.trigger(address, reminder.intent, reminder.entities, due.key)
            except Refused as error:
                _log.warning("a reminder has to wait", reminder=reminder.name, reason=str(error))
                await asyncio.sleep(self._retry)
                return
            except BotError as error:
                _log.error("a reminder cannot be sent", reminder=reminder.name, reason=str(error))
        self._agenda.drop(due)

    async def _address(self, conversation: str) -> Address:
        """Where the user spoke last."""
        channel, sender = "", conversation
        for fact in await self._gateway.read(conversation):
            if isinstance(fact.event, ev.Started):
                channel, sender = fact.event.channel, fact.event.sender
            elif isinstance(fact.event, ev.Received):
                channel = fact.event.channel or channel
        return Address(channel=channel, conversation=conversation, sender=sender)

    def _keep(self) -> None:
        """Write the agenda down. If that fails, or is lost, the log is read again from the last one."""
        content = self._agenda.model_dump_json()
        if content == self._kept:
            return
        try:
            _write(self._path, content)
        except OSError as error:
            _log.warning("the agenda of reminders cannot be written", path=str(self._path), reason=str(error))
        else:
            self._kept = content


def due_in(path: Path, conversations: Collection[str]) -> list[Due]:
    """What is due in some conversations, as the agenda in a file says."""
    return [due for due in _read(path).all() if due.conversation in conversations]


def forget(path: Path, conversations: Collection[str]) -> int:
    """Take all reminders of some conversations out of the agenda in a file; how many there were.

    A bot that is running learns of erased conversations from the log and drops theirs too.
    """
    agenda = _read(path)
    gone = due_in(path, conversations)
    for due in gone:
        agenda.drop(due)
    if gone:
        _write(path, agenda.model_dump_json())
    return len(gone)


def _write(path: Path, content: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(content, "utf-8")
    fresh.replace(path)


def _read(path: Path) -> Agenda:
    """The agenda as it was written; without one, or with a damaged one, the whole log is read."""
    try:
        return Agenda.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return Agenda()
