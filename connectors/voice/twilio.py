"""Telephone calls by Twilio Media Streams: mu-law at 8 kHz in JSON frames, marks, clear, keys.

Twilio signs its requests with the account's auth token; one that is not signed for our public address is refused (403)
before there is a socket. Numbers in its frames are strings. `answer` tells Twilio to open the stream for a call.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl
from xml.sax.saxutils import quoteattr

from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from bot.core.errors import BotError, InputError
from bot.core.messages import Address
from bot.core.protocols import Gateway
from bot.core.speech import RATE
from bot.sound import Resampler, Samples, mulaw_decode, mulaw_encode
from connectors.http import NotSigned
from connectors.limits import Limits
from connectors.voice.parts import News, Parts
from connectors.voice.session import Call
from connectors.voice.sockets import Desk, Peer, parsed, upgraded

STREAM, ANSWER = "/api/v1/voice/twilio", "/api/v1/voice/twilio/answer"
FRAME_BYTES = 65_536
LINE_RATE = 8_000
Sid = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]


@dataclass(frozen=True, slots=True)
class TwilioOffer:
    """The account's auth token, and our address as Twilio knows it: `wss://bot.example`, without a path."""

    token: str
    public_url: str

    def check(
        self, request: web.Request, scheme: Literal["wss", "https"], fields: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Look at the signature: HMAC-SHA1 over the address as it was called, then the form's fields in order.

        Raises:
            NotSigned: it is missing, or not ours.
        """
        _, _, host = self.public_url.rstrip("/").partition("://")
        text = f"{scheme}://{host}{request.path_qs}" + "".join(name + value for name, value in sorted(fields))
        made = hmac.new(self.token.encode(), text.encode("utf-8", "surrogateescape"), hashlib.sha1).digest()
        given = request.headers.get("X-Twilio-Signature", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(base64.b64encode(made), given):
            raise NotSigned("this request is not signed by Twilio for this address; see `voice.public_url`")


class _Frame(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Format(_Frame):
    """How the call's sound is coded."""

    encoding: Literal["audio/x-mulaw"]
    sampleRate: Literal[8000, "8000"]
    channels: Literal[1, "1"] = 1


class Start(_Frame):
    """About the call."""

    streamSid: Sid
    callSid: Sid
    mediaFormat: Format


class Media(_Frame):
    """Sound of the caller."""

    track: str = "inbound"
    payload: str


class Digit(_Frame):
    """A key."""

    digit: Literal["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#"]


class Mark(_Frame):
    """What was sent before it was played, or thrown away by `clear`."""

    name: str = Field(max_length=64)


class ConnectedFrame(_Frame):
    """The first frame."""

    event: Literal["connected"]


class StartFrame(_Frame):
    """The second one."""

    event: Literal["start"]
    start: Start


class MediaFrame(_Frame):
    """Sound."""

    event: Literal["media"]
    media: Media


class DtmfFrame(_Frame):
    """A key of the telephone."""

    event: Literal["dtmf"]
    dtmf: Digit


class MarkFrame(_Frame):
    """A mark came back."""

    event: Literal["mark"]
    mark: Mark


class StopFrame(_Frame):
    """The caller hung up."""

    event: Literal["stop"]


TwilioFrame = ConnectedFrame | StartFrame | MediaFrame | DtmfFrame | MarkFrame | StopFrame
TWILIO_FRAME: TypeAdapter[TwilioFrame] = TypeAdapter(Annotated[TwilioFrame, Field(discriminator="event")])


class TwilioWire:
    """A `Wire` to a telephone."""

    def __init__(self, peer: Peer, stream: str) -> None:
        self._peer, self._stream = peer, stream
        self._down = Resampler(RATE, LINE_RATE)

    async def play(self, samples: Samples) -> None:
        """Sound for the line."""
        payload = base64.b64encode(mulaw_encode(self._down.run(samples))).decode()
        await self._send("media", media={"payload": payload})

    async def mark(self, name: str) -> None:
        """Twilio sends it back once everything before it was played."""
        await self._send("mark", mark={"name": name})

    async def clear(self) -> None:
        """Throw away what waits to be played."""
        self._down = Resampler(RATE, LINE_RATE)
        await self._send("clear")

    async def tell(self, news: News) -> None:
        """A telephone shows nothing."""

    async def _send(self, event: str, **fields: Any) -> None:
        await self._peer.send({"event": event, "streamSid": self._stream, **fields})


def answer(offer: TwilioOffer, request: web.Request, body: bytes) -> web.Response:
    """What to do with a call: open our stream. For the number's voice webhook.

    Raises:
        NotSigned, InputError.
    """
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=200)
    except ValueError:
        raise InputError("expected the fields of a form, as Twilio sends them") from None
    offer.check(request, "https", fields)
    _, _, host = offer.public_url.rstrip("/").partition("://")
    stream = quoteattr(f"wss://{host}{STREAM}")
    text = f'<?xml version="1.0" encoding="UTF-8"?><Response><Connect><Stream url={stream}/></Connect></Response>'
    return web.Response(text=text, content_type="text/xml")


async def serve(request: web.Request, gateway: Gateway, parts: Parts, desk: Desk, limits: Limits) -> web.StreamResponse:
    """One call, whose signature was looked at.

    Raises:
        Overloaded: all lines are in use.
    """
    desk.admit()
    socket: web.WebSocketResponse = await upgraded(request, limits, FRAME_BYTES)
    peer = Peer(socket, limits)
    start = await _start(socket, peer, limits)
    if start is None:
        return socket
    address = Address(channel="twilio", conversation=f"twilio-{start.callSid}", sender=start.callSid)
    call = Call(TwilioWire(peer, start.streamSid), gateway, parts, address)
    await desk.lead(call, lambda: _read(socket, peer, call))
    await peer.close()
    return socket


async def _start(socket: web.WebSocketResponse, peer: Peer, limits: Limits) -> Start | None:
    """The `start` frame, after `connected`; None if something else came, and the socket is closed."""
    try:
        async with asyncio.timeout(limits.hello_seconds):
            while (message := await socket.receive()).type is WSMsgType.TEXT:
                frame = parsed(TWILIO_FRAME, message.data)
                if isinstance(frame, StartFrame):
                    return frame.start
                if not isinstance(frame, ConnectedFrame):
                    break
    except (TimeoutError, InputError):
        pass
    await peer.close(WSCloseCode.POLICY_VIOLATION, "expected connected, then start with audio/x-mulaw at 8000")
    return None


async def _read(socket: web.WebSocketResponse, peer: Peer, call: Call) -> None:
    up = Resampler(LINE_RATE, RATE)
    while (message := await socket.receive()).type is WSMsgType.TEXT:
        try:
            match parsed(TWILIO_FRAME, message.data):
                case MediaFrame(media=media) if media.track == "inbound":
                    await call.hear(up.run(mulaw_decode(_decoded(media.payload))))
                case DtmfFrame(dtmf=pressed):
                    await call.key(pressed.digit)
                case MarkFrame(mark=mark):
                    call.marked(mark.name)
                case StopFrame():
                    return
                case StartFrame() | ConnectedFrame():
                    raise InputError("a stream starts once")
        except BotError as error:
            call.complain(error)
            if peer.bad():
                break
    if not socket.closed:
        await peer.close(WSCloseCode.POLICY_VIOLATION, "too many frames that make no sense")


def _decoded(payload: str) -> bytes:
    try:
        return base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise InputError("a payload must be base64") from None
