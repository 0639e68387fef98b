"""What a call tells its wire, in order, without waiting for the peer to read it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import structlog

from bot.core.errors import BotError
from connectors.voice.parts import News, NewsKind, Wire

_NEWS = 256
"""News that may wait for a peer; one that does not take them is hung up on."""
_log = structlog.get_logger("understudy.voice")


class Teller:
    """Keeps news until the wire takes them. `over` is set when nobody does: then the call ends."""

    def __init__(self, wire: Wire) -> None:
        self.over = asyncio.Event()
        self._wire = wire
        self._news: asyncio.Queue[News] = asyncio.Queue(_NEWS)

    def complain(self, error: BotError) -> None:
        """Tell of something that went wrong; the call goes on."""
        _log.warning("call_trouble", code=error.code, reason=str(error)[:300])
        self._tell("error", code=error.code, message=str(error))

    def _tell(self, kind: NewsKind, **fields: Any) -> None:
        try:
            self._news.put_nowait(News(kind, fields))
        except asyncio.QueueFull:
            self.over.set()

    async def _pump(self) -> None:
        with suppress(ConnectionError):
            while True:
                await self._wire.tell(await self._news.get())
        self.over.set()

    async def _tell_last(self) -> None:
        """What is left when the call ends."""
        with suppress(ConnectionError):
            while not self._news.empty():
                await self._wire.tell(self._news.get_nowait())
