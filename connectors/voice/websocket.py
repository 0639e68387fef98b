"""Calls from a browser or an app: PCM16 up, PCM16 down, JSON control in between. docs/voice.md describes the frames.

The first frame is `start`. Binary frames are little-endian 16-bit mono samples, up at the rate that `start` named, down
at 16 kHz. With `"speech": "text"` no sound comes down: the caller's own device says the sentences.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from bot.core.errors import BotError, InputError
from bot.core.messages import Address
from bot.core.protocols import Gateway
from bot.core.speech import RATE, Speech
from bot.sound import HIGHEST_RATE, LOWEST_RATE, Resampler, Samples, from_pcm16, to_pcm16
from connectors.api import new_conversation
from connectors.limits import Limits
from connectors.texts import WebConversation
from connectors.voice.parts import News, Parts
from connectors.voice.session import Call
from connectors.voice.sockets import Desk, Peer, parsed, upgraded

FRAME_BYTES = 65_536
BROWSER = "browser"
"""The `id` of a speaker that leaves it to the caller's browser."""
_PER_CHARACTER = RATE // 14


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StartFrame(_Frame):
    """Client, first: how its samples are to be read, and which conversation of the web channel goes on, if any."""

    type: Literal["start"]
    rate: int = Field(default=RATE, strict=True, ge=LOWEST_RATE, le=HIGHEST_RATE)
    speech: Literal["audio", "text"] = "audio"
    conversation: WebConversation | None = None


class MarkFrame(_Frame):
    """Client: all sound before the mark of this name was played."""

    type: Literal["mark"]
    name: str = Field(max_length=64)


class KeyFrame(_Frame):
    """Client: a key of the telephone."""

    type: Literal["key"]
    key: Literal["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#"]


class InterruptFrame(_Frame):
    """Client: say no more."""

    type: Literal["interrupt"]


class StopFrame(_Frame):
    """Client: hang up."""

    type: Literal["stop"]


ClientFrame = StartFrame | MarkFrame | KeyFrame | InterruptFrame | StopFrame
CLIENT_FRAME: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="type")])


class BrowserWire:
    """A `Wire` over a WebSocket."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    async def play(self, samples: Samples) -> None:
        """Sound, as a binary frame."""
        await self._peer.send(to_pcm16(samples))

    async def mark(self, name: str) -> None:
        """A mark, to be sent back when it is reached."""
        await self._peer.send({"type": "mark", "name": name})

    async def clear(self) -> None:
        """Throw away what is not played."""
        await self._peer.send({"type": "clear"})

    async def tell(self, news: News) -> None:
        """News, as a frame of their kind."""
        await self._peer.send({"type": news.kind, **news.fields})


class TextWire(BrowserWire):
    """For a caller whose own device speaks: sound is only time that passes, and marks come by themselves."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(peer)
        self.call: Call | None = None
        self._until = 0.0

    async def play(self, samples: Samples) -> None:
        """Let the time pass that the sentence takes."""
        now = asyncio.get_running_loop().time()
        self._until = max(self._until, now) + len(samples) / RATE

    async def mark(self, name: str) -> None:
        """The mark is reached when the time has passed."""
        if self.call is not None:
            asyncio.get_running_loop().call_at(self._until, self.call.marked, name)

    async def clear(self) -> None:
        """The device is told to be silent."""
        self._until = 0.0
        await super().clear()


class ElsewhereSpoken:
    """A `Speaker` whose sentences are said by the caller's device: silence, as long as they take about."""

    id = "caller"

    async def speak(self, speech: Speech) -> AsyncGenerator[Samples, None]:
        """Silence of about the length of the sentence."""
        yield np.zeros(int(len(speech.text) * _PER_CHARACTER / speech.rate), np.float32)

    async def close(self) -> None:
        """Nothing is held."""


async def serve(request: web.Request, gateway: Gateway, parts: Parts, desk: Desk, limits: Limits) -> web.StreamResponse:
    """One call.

    Raises:
        Overloaded: all lines are in use.
    """
    desk.admit()
    socket: web.WebSocketResponse = await upgraded(request, limits, FRAME_BYTES)
    peer = Peer(socket, limits)
    start = await _start(socket, peer, limits)
    if start is None:
        return socket
    conversation = start.conversation or new_conversation()
    address = Address(channel="voice", conversation=conversation, sender=conversation)
    wire: BrowserWire = BrowserWire(peer)
    text = start.speech == "text" or parts.speaker.id == BROWSER
    if text:
        wire, parts = TextWire(peer), replace(parts, speaker=ElsewhereSpoken())
    call = Call(wire, gateway, parts, address)
    if isinstance(wire, TextWire):
        wire.call = call
    speech = "text" if text else "audio"
    await peer.send({"type": "started", "conversation": conversation, "rate": RATE, "speech": speech})
    await desk.lead(call, lambda: _read(socket, peer, call, Resampler(start.rate, RATE)))
    await peer.close()
    return socket


async def _start(socket: web.WebSocketResponse, peer: Peer, limits: Limits) -> StartFrame | None:
    """The first frame; None if it was no `start`, and the socket is closed."""
    try:
        async with asyncio.timeout(limits.hello_seconds):
            message = await socket.receive()
        frame = parsed(CLIENT_FRAME, message.data) if message.type is WSMsgType.TEXT else None
    except (TimeoutError, InputError):
        frame = None
    if isinstance(frame, StartFrame):
        return frame
    await peer.close(WSCloseCode.POLICY_VIOLATION, "the first frame must be a start")
    return None


async def _read(socket: web.WebSocketResponse, peer: Peer, call: Call, resampler: Resampler) -> None:
    """Take frames until the caller hangs up."""
    while True:
        message = await socket.receive()
        try:
            if message.type is WSMsgType.BINARY:
                await call.hear(resampler.run(from_pcm16(message.data)))
            elif message.type is not WSMsgType.TEXT or await _control(parsed(CLIENT_FRAME, message.data), call):
                return
        except BotError as error:
            await peer.send({"type": "error", "code": error.code, "message": str(error)})
            if peer.bad():
                await peer.close(WSCloseCode.POLICY_VIOLATION, "too many frames that make no sense")
                return


async def _control(frame: ClientFrame, call: Call) -> bool:
    """Obey a frame; whether the caller hangs up."""
    match frame:
        case MarkFrame(name=name):
            call.marked(name)
        case KeyFrame(key=key):
            await call.key(key)
        case InterruptFrame():
            await call.interrupt()
        case StartFrame():
            raise InputError("start comes once; open another socket for another call")
    return isinstance(frame, StopFrame)
