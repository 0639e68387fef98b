"""The web channel: its routes, its open sockets, and the built-in page.

The page is three static files (no framework, no inline code), served under a policy that lets it load nothing from
elsewhere. The files are package data.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiohttp import WSCloseCode, web
from pydantic import BaseModel, ConfigDict, Field

from bot.core.errors import InputError, Overloaded
from bot.core.protocols import Capabilities, Gateway
from connectors.api import ConversationApi
from connectors.http import Call, Route, Setup
from connectors.limits import Limits
from connectors.texts import WebConversation
from connectors.web.session import Session

STATIC = Path(__file__).parent / "static"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class SocketQuery(BaseModel):
    """The conversation may stand in the address or, better, in the hello frame, which no log of addresses holds."""

    model_config = ConfigDict(extra="forbid")

    conversation: WebConversation = Field(default_factory=str)


class WebChannel:
    """`/api/v1/...`, `/api/v1/ws` and the page at `/`."""

    name = "web"
    capabilities = Capabilities(images=False, push=True)

    def __init__(self, limits: Limits, setup: Setup = Setup()) -> None:  # noqa: B008 - a frozen value
        self._limits = limits
        self._api = ConversationApi(limits, setup.payloads)
        self._sessions: set[Session] = set()
        self._per_conversation: Counter[str] = Counter()
        self._draining = False
        self._resumed = 0

    async def open(self, gateway: Gateway) -> None:
        """Start taking messages."""
        self._api.open(gateway)

    async def drain(self) -> None:
        """Let turns end, close every socket with 1012 and take no new ones."""
        self._draining = True
        await asyncio.gather(*(session.drain(self._limits.drain_seconds - 2) for session in self._sessions))

    async def close(self) -> None:
        """Stop taking messages."""
        self._api.open(None)

    def stats(self) -> Mapping[str, float]:
        """Open sockets, and how many of all resumed an earlier one."""
        return {"ws_connections": len(self._sessions), "ws_reconnects_total": self._resumed}

    def routes(self) -> Sequence[Route]:
        """The table."""
        return (
            *self._api.routes(),
            Route(
                "GET",
                "/api/v1/ws",
                self._socket,
                "Talk over a WebSocket that resumes (frames: docs/api.md)",
                {101: "text/plain"},
                query=SocketQuery,
                needs_origin=True,
                errors=(401, 503),
            ),
            _page("/", "index.html"),
            _page("/web/app.js", "app.js"),
            _page("/web/markdown.js", "markdown.js"),
            _page("/web/style.css", "style.css"),
        )

    async def _socket(self, call: Call[None, SocketQuery]) -> web.StreamResponse:
        if self._draining or len(self._sessions) >= self._limits.sockets:
            raise Overloaded("no more WebSockets just now; try again soon", retry_after=2.0)
        socket = web.WebSocketResponse(
            heartbeat=self._limits.heartbeat_seconds, max_msg_size=self._limits.frame_bytes, compress=False
        )
        if not socket.can_prepare(call.request):
            raise InputError("this address speaks WebSocket; connect with an Upgrade request")
        await socket.prepare(call.request)
        session = Session(socket, self._api, self._limits)
        self._sessions.add(session)
        try:
            await self._serve(session, call.query.conversation)
        finally:
            self._sessions.discard(session)
        return socket

    async def _serve(self, session: Session, conversation: str) -> None:
        hello = await session.hello(conversation)
        if hello is None:
            return
        if self._per_conversation[session.conversation] >= self._limits.sockets_per_conversation:
            await session.close(WSCloseCode.TRY_AGAIN_LATER, "too many sockets of this conversation")
            return
        self._resumed += session.resumed
        self._per_conversation[session.conversation] += 1
        try:
            await session.run(hello)
        finally:
            self._per_conversation[session.conversation] -= 1
            if not self._per_conversation[session.conversation]:
                del self._per_conversation[session.conversation]


def _page(path: str, name: str) -> Route:
    content = (STATIC / name).read_bytes()
    media_type = _TYPES[Path(name).suffix]
    headers = {"Cache-Control": "no-cache"}
    if media_type == "text/html":
        headers["Content-Security-Policy"] = PAGE_POLICY

    async def serve(call: Call[None, None]) -> web.StreamResponse:
        return web.Response(body=content, content_type=media_type, charset="utf-8", headers=headers)

    return Route("GET", path, serve, f"The built-in page: {name}", {200: media_type})
