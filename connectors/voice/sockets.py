"""What all wires over a WebSocket share: a peer that is written to in time, and a call led to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import WSCloseCode, web
from pydantic import BaseModel, TypeAdapter, ValidationError

from bot.core.errors import BotError, InputError, Overloaded
from connectors.http import explain
from connectors.limits import Limits
from connectors.voice.session import Call

BAD_FRAMES = 10
"""Frames that make no sense before the socket is closed."""
_log = structlog.get_logger("understudy.voice")


class Peer:
    """The other end of a WebSocket. A peer that does not read in time is gone: `ConnectionError`."""

    def __init__(self, socket: web.WebSocketResponse, limits: Limits) -> None:
        self._socket, self._limits = socket, limits
        self._bad = 0

    async def send(self, frame: BaseModel | dict[str, Any] | bytes) -> None:
        """Send a JSON object, or bytes.

        Raises:
            ConnectionError: nobody takes it.
        """
        if self._socket.closed:
            raise ConnectionResetError("the caller is gone")
        try:
            async with asyncio.timeout(self._limits.send_seconds):
                if isinstance(frame, bytes):
                    await self._socket.send_bytes(frame)
                elif isinstance(frame, BaseModel):
                    await self._socket.send_str(frame.model_dump_json(exclude_none=True))
                else:
                    await self._socket.send_json(frame)
        except TimeoutError:
            raise ConnectionResetError("the caller reads too slowly") from None

    async def close(self, code: int = WSCloseCode.OK, why: str = "") -> None:
        """Close the socket; a peer that does not read is cut off."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(1.0):
                await self._socket.close(code=code, message=why.encode()[:120])

    def bad(self) -> bool:
        """Count a frame that makes no sense; whether there were too many."""
        self._bad += 1
        return self._bad >= BAD_FRAMES


class Desk:
    """How many calls there are, over all wires."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.calls: set[Call] = set()
        self.taken = 0
        self.draining = False

    def admit(self) -> None:
        """Whether one more call can be taken.

        Raises:
            Overloaded: it cannot.
        """
        if self.draining or len(self.calls) >= self._most:
            raise Overloaded(f"all {self._most} lines are in use; call again in a moment", retry_after=5.0)

    async def lead(self, call: Call, read: Callable[[], Awaitable[None]]) -> None:
        """Lead a call to its end: until the peer's frames end, or we hang up."""
        self.calls.add(call)
        self.taken += 1
        reading = asyncio.ensure_future(read())
        over = asyncio.create_task(call.over.wait())
        try:
            await call.open()
            await asyncio.wait((reading, over), return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and not reading.cancelled() and (error := reading.exception()) is not None:
                _tell_of(error)
        finally:
            for task in (reading, over):
                task.cancel()
            await asyncio.gather(reading, over, return_exceptions=True)
            await call.close()
            self.calls.discard(call)

    async def drain(self, seconds: float) -> None:
        """Take no more calls, let those there are go on a little, then hang up."""
        self.draining = True
        waiting = [asyncio.create_task(call.over.wait()) for call in self.calls]
        if waiting:
            _, left = await asyncio.wait(waiting, timeout=max(0.0, seconds))
            for task in left:
                task.cancel()
        for call in list(self.calls):
            call.over.set()


def _tell_of(error: BaseException) -> None:
    """A peer that left is no news; anything else is our fault, and the call has ended."""
    if not isinstance(error, ConnectionError | BotError):
        _log.error("call_failed", exc_info=error)


async def upgraded(request: web.Request, limits: Limits, most: int, protocols: tuple[str, ...] = ()) -> Any:
    """The WebSocket of a request; frames of more than `most` bytes close it (1009).

    Raises:
        InputError: the request asks for none.
    """
    socket = web.WebSocketResponse(
        heartbeat=limits.heartbeat_seconds, max_msg_size=most, compress=False, protocols=protocols
    )
    if not socket.can_prepare(request):
        raise InputError("this address speaks WebSocket; connect with an Upgrade request")
    await socket.prepare(request)
    return socket


def parsed(adapter: TypeAdapter[Any], raw: str) -> Any:
    """A frame.

    Raises:
        InputError: it makes no sense; says why.
    """
    try:
        return adapter.validate_json(raw)
    except ValidationError as error:
        raise InputError(explain(error)) from None
