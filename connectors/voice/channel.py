"""The calls that come over HTTP: the browser's page and socket, Twilio, OpenAI's Realtime and audio addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web

from bot.core.protocols import Capabilities, Gateway
from connectors.http import Call as HttpCall
from connectors.http import Route
from connectors.limits import Limits
from connectors.voice import realtime, twilio, websocket
from connectors.voice.audio_api import AudioApi
from connectors.voice.parts import Parts, open_gateway
from connectors.voice.realtime import RealtimeOffer
from connectors.voice.sockets import Desk
from connectors.voice.twilio import TwilioOffer
from connectors.voice.wyoming import WyomingOffer, WyomingServer

STATIC = Path(__file__).parent / "static"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MICROPHONE = "camera=(), geolocation=(), microphone=(self), payment=()"
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


@dataclass(frozen=True, slots=True)
class VoiceOffer:
    """What calls are made of, how many there may be at a time, and which wires there are besides the browser's."""

    parts: Parts
    calls: int = 16
    twilio: TwilioOffer | None = None
    wyoming: WyomingOffer | None = None
    realtime: RealtimeOffer | None = None


class VoiceChannel:
    """`/voice` and `/api/v1/voice`."""

    name = "voice"
    capabilities = Capabilities(buttons=False, images=False, cards=False, markdown=False)

    def __init__(self, limits: Limits, offer: VoiceOffer) -> None:
        self._limits, self._offer = limits, offer
        self.desk = Desk(offer.calls)
        self.wyoming = WyomingServer(limits, offer.wyoming) if offer.wyoming else None
        self._gateway: Gateway | None = None

    async def open(self, gateway: Gateway) -> None:
        """Start taking calls."""
        self._gateway = gateway
        if self.wyoming is not None:
            await self.wyoming.open(gateway)

    async def close(self) -> None:
        """Stop taking calls."""
        if self.wyoming is not None:
            await self.wyoming.close()
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
            *self._twilio(),
            *self._keyed(),
            _page("/voice", "voice.html"),
            _page("/voice/voice.js", "voice.js"),
            _page("/voice/worklet.js", "worklet.js"),
            _page("/voice/voice.css", "voice.css"),
        )

    def _twilio(self) -> Sequence[Route]:
        offer = self._offer.twilio
        if offer is None:
            return ()

        async def answer(call: HttpCall[bytes, None]) -> web.StreamResponse:
            return twilio.answer(offer, call.request, call.body)

        async def stream(call: HttpCall[None, None]) -> web.StreamResponse:
            offer.check(call.request, "wss")
            gateway = open_gateway(self._gateway)
            return await twilio.serve(call.request, gateway, self._offer.parts, self.desk, self._limits)

        told = "Twilio asks what to do with a call", "Twilio's media stream of a call"
        form = "application/x-www-form-urlencoded"
        return (
            Route("POST", twilio.ANSWER, answer, told[0], {200: "text/xml"}, raw=form),
            Route("GET", twilio.STREAM, stream, told[1], {101: "text/plain"}, errors=(503,)),
        )

    def _keyed(self) -> Sequence[Route]:
        offer = self._offer.realtime
        if offer is None:
            return ()

        async def stream(call: HttpCall[None, realtime.RealtimeQuery]) -> web.StreamResponse:
            gateway, parts = open_gateway(self._gateway), self._offer.parts
            return await realtime.serve(call.request, gateway, replace(offer, parts=parts), self.desk, self._limits)

        return (
            *AudioApi(self._offer.parts, offer.admit).routes(),
            Route(
                "GET",
                realtime.ADDRESS,
                stream,
                "Talk over a WebSocket shaped as OpenAI's Realtime",
                {101: "text/plain"},
                query=realtime.RealtimeQuery,
                door="key",
                admit=offer.admit,
                errors=(404, 429, 503),
            ),
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
