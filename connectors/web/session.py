"""One WebSocket: hello, backlog, `resumed`, then events as they are committed.

The session holds no history. It reads from the log at the reader's pace, so a slow reader costs one frame of memory
and is closed (1013) when it does not take that frame in time; it resumes by `last_seq`.

Close codes: 1001 gone, 1003 binary frame, 1007 bad UTF-8, 1008 no hello or too many bad frames, 1009 frame too big,
1011 our fault, 1012 server restarts, 1013 too many sockets or reading too slowly.
"""

from __future__ import annotations

import asyncio
import contextlib

import structlog
from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import ValidationError

from bot.core.errors import BotError, Refused
from bot.core.events import Recorded, Settled
from bot.core.protocols import Draft
from connectors.api import ConversationApi
from connectors.http import explain
from connectors.limits import Limits
from connectors.views import event_view
from connectors.web.frames import (
    CLIENT_FRAME,
    AckFrame,
    DraftFrame,
    ErrorFrame,
    EventFrame,
    HelloFrame,
    MessageFrame,
    ResetFrame,
    ResumedFrame,
    ServerFrame,
)

BAD_FRAMES = 10
"""Frames that make no sense before the socket is closed."""
_log = structlog.get_logger("understudy.web")


class SlowReader(Exception):
    """The peer did not take a frame in time."""


class Session:
    """One open socket of one conversation."""

    def __init__(self, socket: web.WebSocketResponse, api: ConversationApi, limits: Limits) -> None:
        self.conversation = ""
        self.resumed = False
        self._socket, self._api, self._limits = socket, api, limits
        self._bad = 0
        self._asked = self._answered = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def hello(self, conversation: str) -> HelloFrame | None:
        """The first frame; None if there was none, and the socket is closed. `conversation` is the address's."""
        try:
            async with asyncio.timeout(self._limits.hello_seconds):
                frame = await self._next()
        except TimeoutError:
            frame = None
        if isinstance(frame, HelloFrame) and (frame.conversation or conversation):
            self.conversation = frame.conversation or conversation
            self.resumed = frame.last_seq > 0
            return frame
        await self.close(WSCloseCode.POLICY_VIOLATION, "the first frame must be a hello that names a conversation")
        return None

    async def run(self, hello: HelloFrame) -> None:
        """Serve the socket until either side closes it."""
        pump = asyncio.create_task(self._pump(hello.last_seq))
        pump.add_done_callback(lambda _: self._idle.set())
        read = asyncio.create_task(self._read())
        try:
            done, _ = await asyncio.wait((pump, read), return_when=asyncio.FIRST_COMPLETED)
            await self._end(next(iter(done)))
        finally:
            for task in (pump, read):
                task.cancel()
            await asyncio.gather(pump, read, return_exceptions=True)

    async def drain(self, seconds: float) -> None:
        """Let turns in progress be answered, then close: the server restarts."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        await self.close(WSCloseCode.SERVICE_RESTART, "the server restarts; connect again")

    async def close(self, code: int, why: str) -> None:
        """Close the socket; a peer that does not read is cut off."""
        try:
            async with asyncio.timeout(1.0):
                await self._socket.close(code=code, message=why.encode()[:120])
        except TimeoutError:
            _log.info("socket_cut_off", code=int(code))

    async def _end(self, task: asyncio.Task[None]) -> None:
        """Close with the code that fits how the task ended."""
        error = task.exception() if not task.cancelled() else None
        if isinstance(error, SlowReader):
            await self.close(WSCloseCode.TRY_AGAIN_LATER, "reading too slowly; connect again and resume")
        elif isinstance(error, ConnectionError) or error is None:
            await self.close(WSCloseCode.OK, "")
        else:
            _log.error("socket_failed", exc_info=error)
            await self.close(WSCloseCode.INTERNAL_ERROR, "the server failed; connect again and resume")

    # --- towards the client ------------------------------------------------------------------------------------

    async def _pump(self, after: int) -> None:
        """Everything after `after`, then what happens."""
        gateway, seen = self._api.gateway, after
        if after and not await gateway.read(self.conversation, after - 1, 1):
            await self._send(ResetFrame())
            seen = 0
        while page := await gateway.read(self.conversation, seen, self._limits.page_events):
            for recorded in page:
                await self._show(recorded)
            seen = page[-1].seq
        await self._send(ResumedFrame(conversation=self.conversation, last_seq=seen))
        async for news in gateway.follow_drafts(self.conversation, seen):
            if isinstance(news, Draft):
                await self._send(DraftFrame(turn=news.turn, text=news.text))
            else:
                await self._show(news)

    async def _show(self, recorded: Recorded) -> None:
        if view := event_view(recorded):
            await self._send(EventFrame.model_construct(event=view))
        if isinstance(recorded.event, Settled):
            self._answered = max(self._answered, recorded.turn)
            self._mark()

    async def _send(self, frame: ServerFrame) -> None:
        try:
            async with asyncio.timeout(self._limits.send_seconds):
                await self._socket.send_str(frame.model_dump_json(exclude_none=True))
        except TimeoutError:
            raise SlowReader from None

    # --- from the client ---------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while not self._socket.closed:
            frame = await self._next()
            if isinstance(frame, MessageFrame):
                await self._take(frame)
            elif isinstance(frame, HelloFrame):
                await self._refuse("bad_input", "hello comes once; open another socket for another conversation")
            else:
                return

    async def _next(self) -> HelloFrame | MessageFrame | None:
        """The next frame that makes sense; None when the socket is closed."""
        while True:
            raw = await self._socket.receive()
            if raw.type is WSMsgType.BINARY:
                await self.close(WSCloseCode.UNSUPPORTED_DATA, "frames are JSON text")
            if raw.type is not WSMsgType.TEXT:
                return None
            try:
                return CLIENT_FRAME.validate_json(raw.data)
            except ValidationError as error:
                await self._refuse("bad_input", explain(error))

    async def _refuse(self, code: str, message: str) -> None:
        self._bad += 1
        await self._send(ErrorFrame(code=code, message=message))
        if self._bad >= BAD_FRAMES:
            await self.close(WSCloseCode.POLICY_VIOLATION, "too many frames that make no sense")

    async def _take(self, frame: MessageFrame) -> None:
        try:
            receipt = await self._api.submit(self.conversation, frame, frame.id)
        except BotError as error:
            retry = error.retry_after if isinstance(error, Refused) else None
            await self._send(ErrorFrame(code=error.code, message=str(error), id=frame.id, retry_after=retry))
            return
        self._asked = max(self._asked, receipt.turn)
        self._mark()
        await self._send(
            AckFrame(
                conversation=receipt.conversation,
                id=frame.id,
                seq=receipt.seq,
                turn=receipt.turn,
                duplicate=receipt.duplicate,
            )
        )

    def _mark(self) -> None:
        """Note whether a turn asked for here is still to be answered."""
        if self._answered >= self._asked:
            self._idle.set()
        else:
            self._idle.clear()
