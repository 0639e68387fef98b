"""The calls that come over HTTP: the browser's page and socket, Twilio, OpenAI's Realtime and audio addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from bot.core.protocols import Capabilities, Gateway
from connectors.http import Call as HttpCall
from connectors.http import Route
from connectors.limits import Limits
from connectors.voice import websocket
from connectors.voice.parts import Parts, open_gateway
from connectors.voice.sockets import Desk

STATIC = Path(__file__).parent / "static"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MICROPHONE = "camera=(), geolocation=(), microphone=(self), payment=()"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


@dataclass(frozen=True, slots=True)
class VoiceOffer:
    """What calls are made of, and how many there may be at a time."""

    parts: Parts
    calls: int = 16


class VoiceChannel:
    """`/voice` and `/api/v1/voice`."""

    name = "voice"
    capabilities = Capabilities(buttons=False, images=False, cards=False, markdown=False)

    def __init__(self, limits: Limits, offer: VoiceOffer) -> None:
        self._limits, self._offer = limits, offer
        self.desk = Desk(offer.calls)
        self._gateway: Gateway | None = None

    async def open(self, gateway: Gateway) -> None:
        """Start taking calls."""
        self._gateway = gateway

    async def close(self) -> None:
        """Stop taking calls."""
        self._gateway = None

    async def drain(self) -> None:
        """Hang up."""
        await self.desk.drain(self._limits.drain_seconds - 6)

    def stats(self) -> Mapping[str, float]:
        """Calls now, and in all."""
        return {"voice_calls": len(self.desk.calls), "voice_calls_total": self.desk.taken}

    def routes(self) -> Sequence[Route]:
        """The table."""
        return (
            Route(
                "GET",
                "/api/v1/voice",
                self._browser,
                "Call the bot over a WebSocket (frames: docs/voice.md)",
                {101: "text/plain"},
                needs_origin=True,
                errors=(401, 503),
            ),
            _page("/voice", "voice.html"),
            _page("/voice/voice.js", "voice.js"),
            _page("/voice/worklet.js", "worklet.js"),
            _page("/voice/voice.css", "voice.css"),
        )

    async def _browser(self, call: HttpCall[None, None]) -> web.StreamResponse:
        gateway = open_gateway(self._gateway)
        return await websocket.serve(call.request, gateway, self._offer.parts, self.desk, self._limits)


def _page(path: str, name: str) -> Route:
    content = (STATIC / name).read_bytes()
    media_type = _TYPES[Path(name).suffix]
    headers = {"Cache-Control": "no-cache"}
    if media_type == "text/html":
        headers |= {"Content-Security-Policy": PAGE_POLICY, "Permissions-Policy": MICROPHONE}

    async def serve(call: HttpCall[None, None]) -> web.StreamResponse:
        return web.Response(body=content, content_type=media_type, charset="utf-8", headers=headers)

    return Route("GET", path, serve, f"The page for calls: {name}", {200: media_type})
