"""One client that listens to one conversation: sends what is owed, and notes what has arrived.

What has arrived for sure is noted as `Delivered` in the log, so that a client that comes back, even after a restart,
gets what it has missed and nothing else. A client that counts itself (it names the id of the last frame it has) is
believed instead. Few frames are under way at a time; the rest waits in the log, so a slow reader costs no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import structlog

from bot.core.errors import BotError
from bot.core.events import Delivered, Recorded, Replied
from bot.core.protocols import Gateway
from connectors.limits import Limits
from connectors.owing import Ledger, owing
from connectors.socketio.engine import Wire
from connectors.socketio.frames import Frame, frames

CHANNEL = "socketio"
UNDER_WAY = 32
"""Frames that may be under way to one client without word that they have arrived."""
_REMEMBERED = 10_000
_SOON = 0.1
"""Seconds in which a committed message is on its way."""
_log = structlog.get_logger("understudy.socketio")


class Place(NamedTuple):
    """A frame: the seq of its message in the log, and its number within that."""

    seq: int
    part: int


class _Sent(NamedTuple):
    number: int
    message: str
    parts: int
    last: bool


@dataclass
class Arrived:
    """Frames that have arrived but are not noted in the log (yet), by conversation and message; forgets the oldest."""

    _parts: OrderedDict[str, dict[str, int]] = field(default_factory=OrderedDict)

    def parts(self, conversation: str, message: str) -> int:
        """How many frames of a message have arrived."""
        return self._parts.get(conversation, {}).get(message, 0)

    def add(self, conversation: str, message: str, parts: int) -> None:
        """The first frames of a message have arrived."""
        self._parts.setdefault(conversation, {})[message] = parts
        self._parts.move_to_end(conversation)
        if len(self._parts) > _REMEMBERED:
            self._parts.popitem(last=False)

    def noted(self, conversation: str, message: str) -> None:
        """The log knows."""
        messages = self._parts.get(conversation, {})
        messages.pop(message, None)
        if not messages:
            self._parts.pop(conversation, None)


@dataclass(frozen=True)
class Listener:
    """Who listens. `after` is the last frame that the client says it has; None: it does not count.

    `lasting`: the conversation can be come back to, so what has arrived is noted.
    """

    conversation: str
    sid: str
    after: Place | None
    lasting: bool


class Peer(Protocol):
    """The client's end."""

    wire: Wire

    async def show(self, frame: Frame) -> int:
        """Send a frame of the bot's; its number on the wire."""
        ...

    def drop(self) -> None:
        """Break the connection; the client comes back."""
        ...


class Line:
    """See the module."""

    def __init__(self, who: Listener, gateway: Gateway, limits: Limits, arrived: Arrived, peer: Peer) -> None:
        self.who = who
        self._gateway, self._limits, self._arrived, self._peer = gateway, limits, arrived, peer
        self._under_way: deque[_Sent] = deque()
        self._room = asyncio.Event()
        self._to_note: asyncio.Queue[str | None] = asyncio.Queue()
        self._pump = asyncio.create_task(self._send_all())
        self._noter = asyncio.create_task(self._note_all())
        peer.wire.on_certain = self.certain

    def certain(self, number: int) -> None:
        """Events up to this number have arrived."""
        conversation = self.who.conversation
        while self._under_way and self._under_way[0].number <= number:
            sent = self._under_way.popleft()
            if self.who.lasting:
                self._arrived.add(conversation, sent.message, sent.parts)
                if sent.last:
                    self._to_note.put_nowait(sent.message)
        self._room.set()

    async def quiet(self) -> None:
        """Wait until what is on its way has arrived."""
        await asyncio.sleep(_SOON)
        while self._under_way:
            self._room.clear()
            await self._room.wait()

    async def close(self) -> None:
        """Send no more; note what has arrived."""
        self._pump.cancel()
        self._to_note.put_nowait(None)
        await asyncio.gather(self._pump, self._noter, return_exceptions=True)

    async def _send_all(self) -> None:
        ledger = Ledger(CHANNEL, heed=self.who.after is None)
        try:
            async with contextlib.aclosing(owing(self._gateway, self.who.conversation, ledger)) as messages:
                async for recorded in messages:
                    await self._send(recorded)
        except (BotError, TimeoutError) as error:
            _log.info("socketio_line_closed", reason=type(error).__name__)
            self._peer.drop()

    async def _send(self, recorded: Recorded) -> None:
        assert isinstance(recorded.event, Replied)
        message, after = recorded.event.message, self.who.after
        shown = frames(message)
        seen = 0 if after else self._arrived.parts(self.who.conversation, message.id)
        for part, frame in enumerate(shown):
            place = Place(recorded.seq, part)
            if part < seen or (after is not None and place <= after):
                continue
            if after is not None and isinstance(frame, dict):
                frame = {**frame, "id": f"{place.seq}.{place.part}"}
            await self._wait_for_room()
            number = await self._peer.show(frame)
            self._under_way.append(_Sent(number, message.id, part + 1, part + 1 == len(shown)))
            self.certain(self._peer.wire.certain)  # the word may have come before we looked for it

    async def _wait_for_room(self) -> None:
        async with asyncio.timeout(self._limits.send_seconds):
            while len(self._under_way) >= UNDER_WAY:
                self._room.clear()
                await self._room.wait()

    async def _note_all(self) -> None:
        conversation = self.who.conversation
        while (message := await self._to_note.get()) is not None:
            try:
                fact = Delivered(message=message, channel=CHANNEL, external=self.who.sid)
                await self._gateway.record(conversation, fact)
            except BotError as error:  # it counts as owed again after a restart
                _log.warning("delivery_not_noted", reason=error.code)
            else:
                self._arrived.noted(conversation, message)
