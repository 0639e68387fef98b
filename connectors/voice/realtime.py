"""Calls over a WebSocket shaped as OpenAI's Realtime: `/v1/realtime`. What is served of it: docs/voice.md.

The bot is the model: its instructions, voice and tools are its own, so what a client sends of these is taken and
changes nothing. Events that we do not know, or that a bot cannot obey, are answered by `error` and the session goes on.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field

from bot.core.errors import BotError, InputError
from bot.core.messages import Address
from bot.core.protocols import Gateway
from bot.core.speech import RATE
from bot.sound import Resampler, Samples, alaw_decode, alaw_encode, from_pcm16, mulaw_decode, mulaw_encode, to_pcm16
from connectors.limits import Limits
from connectors.openai_api_errors import UnknownModel
from connectors.texts import MESSAGE_CHARACTERS, visible
from connectors.voice.parts import Parts
from connectors.voice.realtime_out import RealtimeWire
from connectors.voice.session import Call
from connectors.voice.sockets import Desk, Peer, upgraded

ADDRESS = "/v1/realtime"
FRAME_BYTES = 524_288
"""Eight seconds of sound in base64; OpenAI's server takes 15 MiB."""
_FORMATS: dict[str, tuple[int, Callable[[bytes], Samples], Callable[[Samples], bytes]]] = {
    "audio/pcm": (24_000, from_pcm16, to_pcm16),
    "audio/pcmu": (8_000, mulaw_decode, mulaw_encode),
    "audio/pcma": (8_000, alaw_decode, alaw_encode),
}


class RealtimeQuery(BaseModel):
    """The address's query."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(default="", max_length=200)


@dataclass(frozen=True, slots=True)
class RealtimeOffer:
    """`model` is the bot's name as a model; `admit` finds out who asks, and counts the request."""

    model: str
    admit: Callable[[web.Request], None]
    parts: Parts | None = None


async def serve(
    request: web.Request, gateway: Gateway, offer: RealtimeOffer, desk: Desk, limits: Limits
) -> web.StreamResponse:
    """One session, of a client that was admitted.

    Raises:
        UnknownModel, Overloaded.
    """
    asked = request.query.get("model", offer.model)
    if asked != offer.model:
        raise UnknownModel(f"there is no model {asked[:100]!r} for this; ask for {offer.model!r}")
    assert offer.parts is not None
    desk.admit()
    socket: web.WebSocketResponse = await upgraded(request, limits, FRAME_BYTES, ("realtime",))
    peer = Peer(socket, limits)
    name = f"sess_{uuid.uuid4().hex}"
    wire = RealtimeWire(peer, name, offer.model)
    address = Address(channel="realtime", conversation=f"realtime-{name}", sender=name)
    wire.call = call = Call(wire, gateway, offer.parts, address)
    session = _Session(peer, call, wire)
    await wire.say("session.created", session=wire.session)
    await desk.lead(call, lambda: session.read(socket))
    await peer.close()
    return socket


class _Session:
    """What a client asks for, event by event."""

    def __init__(self, peer: Peer, call: Call, wire: RealtimeWire) -> None:
        self._peer, self._call, self._wire = peer, call, wire
        self._up = Resampler(24_000, RATE)
        self._decode: Callable[[bytes], Samples] = from_pcm16
        self._typed = ""

    async def read(self, socket: web.WebSocketResponse) -> None:
        """Obey events until the client leaves."""
        while (message := await socket.receive()).type is WSMsgType.TEXT:
            event: dict[str, Any] = {}
            try:
                event = _event(message.data)
                await self._obey(event)
            except BotError as error:
                ours = event.get("event_id")
                await self._wire.fail(error, ours if isinstance(ours, str) else None)
                if self._peer.bad():
                    await self._peer.close(WSCloseCode.POLICY_VIOLATION, "too many events that make no sense")
                    return

    async def _obey(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                self._update(event)
                await self._wire.say("session.updated", session=self._wire.session)
            case "input_audio_buffer.append":
                await self._call.hear(self._up.run(self._decode(_base64(event))))
            case "input_audio_buffer.commit":
                await self._call.commit()
            case "input_audio_buffer.clear":
                await self._call.forget()
                await self._wire.say("input_audio_buffer.cleared")
            case "conversation.item.create":
                await self._create(event)
            case "conversation.item.truncate":
                await self._truncate(event)
            case "response.create":
                await self._respond()
            case "response.cancel" | "output_audio_buffer.clear":
                await self._call.interrupt()
            case kind:
                raise InputError(f"this bot does not know the event {kind[:100]!r}")

    def _update(self, event: dict[str, Any]) -> None:
        """Formats are obeyed; instructions, voice and tools are the bot's own."""
        session = event.get("session")
        if not isinstance(session, dict):
            raise InputError("session.update needs `session`")
        audio = session.get("audio")
        audio = audio if isinstance(audio, dict) else {}
        came, goes = (_format(audio.get(way), self._wire.format(way)) for way in ("input", "output"))
        rate, self._decode, _ = _FORMATS[came]
        self._up = Resampler(rate, RATE)
        to, _, encode = _FORMATS[goes]
        self._wire.set_formats(came, goes, to, encode)

    async def _create(self, event: dict[str, Any]) -> None:
        item = event.get("item")
        item = item if isinstance(item, dict) else {}
        content = item.get("content")
        pieces = content if isinstance(content, list) else []
        texts = [piece.get("text") for piece in pieces if isinstance(piece, dict) and piece.get("type") == "input_text"]
        text = " ".join(text for text in texts if isinstance(text, str))
        if item.get("type") != "message" or item.get("role") != "user" or not visible(text):
            raise InputError("a bot takes messages of the role user with input_text; its past is its own")
        if len(text) > MESSAGE_CHARACTERS:
            raise InputError(f"expected at most {MESSAGE_CHARACTERS} characters")
        self._typed = text.encode("utf-8", "replace").decode()
        await self._wire.typed(self._typed)

    async def _truncate(self, event: dict[str, Any]) -> None:
        played = event.get("audio_end_ms")
        if not isinstance(played, int) or isinstance(played, bool) or not 0 <= played < 10**9:
            raise InputError("audio_end_ms must be a whole number of milliseconds")
        await self._call.interrupt(played)
        told = {"item_id": str(event.get("item_id", ""))[:100], "content_index": 0, "audio_end_ms": played}
        await self._wire.say("conversation.item.truncated", **told)

    async def _respond(self) -> None:
        text, self._typed = self._typed, ""
        if not text:
            raise InputError("there is nothing to answer; a turn that is spoken is answered by itself")
        await self._call.say(text)


def _event(raw: str) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise InputError("an event must be JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise InputError("an event must be an object with a `type`")
    return found


def _base64(event: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(event.get("audio") or "", validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise InputError("`audio` must be base64") from None


def _format(way: Any, now: str) -> str:
    given = way.get("format") if isinstance(way, dict) else None
    kind = given.get("type") if isinstance(given, dict) else given
    if kind is None:
        return now
    if not isinstance(kind, str) or kind not in _FORMATS:
        raise InputError(f"expected one of the formats {', '.join(_FORMATS)}")
    return kind
