"""A Wyoming server: speech to text, intents, answers and text to speech for Home Assistant and other peers.

Wyoming knows no password, so whoever reaches the port may use it; it is opened to this machine only unless the
settings say otherwise. Peers that do not stream get the classic events too, as the protocol asks for.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import structlog

from bot.core.errors import BotError, InputError, SettingsError
from bot.core.messages import Address, Inbound, Message, Text
from bot.core.protocols import Gateway, Understanding
from bot.core.sentences import Sentences
from bot.core.speech import RATE, Speech
from bot.core.spelling import written
from bot.sound import to_pcm16
from connectors.limits import Limits
from connectors.texts import MESSAGE_CHARACTERS, visible
from connectors.turns import settled
from connectors.voice.answer import spoken
from connectors.voice.parts import Pace, Parts
from connectors.voice.pcm import MOST_SECONDS, Pcm
from connectors.voice.spoken import recognise
from connectors.voice.tape import Tape
from connectors.voice.wyoming_frames import LINE_BYTES, BrokenFrame, Event, frame, read_event
from connectors.voice.wyoming_info import info

_CHUNK = RATE // 10
_IDLE = 600.0
"""Seconds after which a peer that sends nothing is let go."""
_log = structlog.get_logger("understudy.voice")


@dataclass(frozen=True, slots=True)
class WyomingOffer:
    """What is served. `understand` runs the classifiers over a text; `name` is the bot's."""

    parts: Parts
    understand: Callable[[str], Awaitable[Understanding]]
    name: str
    languages: tuple[str, ...]
    host: str = "127.0.0.1"
    port: int = 10_300
    most: int = 16


class WyomingServer:
    """Takes connections between `open` and `close`."""

    def __init__(self, limits: Limits, offer: WyomingOffer) -> None:
        self._limits, self._offer = limits, offer
        self._server: asyncio.Server | None = None
        self._peers: set[asyncio.Task[Any]] = set()
        self.port = offer.port

    async def open(self, gateway: Gateway) -> None:
        """Listen.

        Raises:
            SettingsError: the port is taken, or the host is not ours.
        """
        offer = self._offer

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._peers.add(task)
            try:
                await _Peer(reader, writer, gateway, offer, self._limits).serve(len(self._peers) > offer.most)
            finally:
                self._peers.discard(task)

        try:
            self._server = await asyncio.start_server(connected, offer.host, offer.port, limit=LINE_BYTES)
        except OSError as error:
            where = f"{offer.host}:{offer.port}"
            raise SettingsError(f"cannot listen on {where} for Wyoming ({error.strerror or error})") from None
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Let all peers go."""
        if self._server is not None:
            self._server.close()
        for task in list(self._peers):
            task.cancel()
        await asyncio.gather(*self._peers, return_exceptions=True)


class _Peer:
    """One connection: events come one after the other, and each is answered before the next is read."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        gateway: Gateway,
        offer: WyomingOffer,
        limits: Limits,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._gateway, self._offer, self._limits = gateway, offer, limits
        self._language = ""
        self._pcm: Pcm | None = None
        self._tape = Tape(MOST_SECONDS)
        self._heard_ms = 0.0
        self._pace = Pace(MOST_SECONDS)
        self._growing: list[str] | None = None
        self._voice = ""

    async def serve(self, too_many: bool) -> None:
        """Answer events until the peer leaves, or sends what is no event."""
        try:
            if too_many:
                await self._fail("overloaded", "too many connections; try again in a moment")
                return
            while (event := await self._next()) is not None:
                try:
                    await self._take(event)
                except BotError as error:
                    await self._fail(error.code, str(error))
        except BrokenFrame as error:
            with suppress(ConnectionError, TimeoutError):
                await self._fail(error.code, str(error))
        except (ConnectionError, TimeoutError):
            pass
        finally:
            self._writer.close()
            with suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._writer.wait_closed()

    async def _next(self) -> Event | None:
        async with asyncio.timeout(_IDLE):
            return await read_event(self._reader, self._limits.body_seconds)

    async def _send(self, kind: str, data: dict[str, Any] | None = None, payload: bytes = b"") -> None:
        self._writer.write(frame(Event(kind, data or {}, payload)))
        async with asyncio.timeout(self._limits.send_seconds):
            await self._writer.drain()

    async def _fail(self, code: str, text: str) -> None:
        await self._send("error", {"text": text, "code": code})

    async def _take(self, event: Event) -> None:
        """Answer one event; those that we do not know are passed over, as the protocol asks."""
        data = event.data
        match event.type:
            case "describe":
                offer = self._offer
                await self._send("info", info(offer.name, offer.languages, offer.parts.speaker.id))
            case "ping":
                await self._send("pong", {"text": data["text"]} if isinstance(data.get("text"), str) else {})
            case "transcribe":
                self._language = _language(data.get("language"))
            case "audio-start":
                self._begin(data)
            case "audio-chunk":
                await self._hear(event)
            case "audio-stop":
                await self._transcribe()
            case "recognize":
                await self._recognize(_text(data))
            case "transcript":
                await self._handle(_text(data), data.get("context"))
            case "synthesize" if self._growing is None:
                await self._synthesize([_text(data)], _voice(data))
            case "synthesize-start":
                self._growing, self._voice = [], _voice(data)
            case "synthesize-chunk":
                self._grow(_text(data, empty=True))
            case "synthesize-stop":
                await self._synthesize_grown()

    # Speech to text

    def _begin(self, data: dict[str, Any]) -> None:
        self._pcm = Pcm.of(data)
        self._tape, self._heard_ms = Tape(MOST_SECONDS), 0.0

    async def _hear(self, event: Event) -> None:
        if self._pcm is None:
            self._begin(event.data)
        assert self._pcm is not None
        sound = self._pcm.samples(event.payload)
        self._heard_ms += len(sound) * 1000 / RATE
        if self._heard_ms > MOST_SECONDS * 1000:
            self._pcm = None
            raise InputError(f"expected at most {MOST_SECONDS:g} s of sound; begin again with audio-start")
        await self._pace.take(len(sound) / RATE)
        self._tape.add(sound)

    async def _transcribe(self) -> None:
        if self._pcm is None:
            raise InputError("audio-stop without sound before it; begin with audio-start")
        self._tape.add(self._pcm.end())
        sound, self._pcm = self._tape.cut(0, MOST_SECONDS * 1000), None
        self._tape = Tape(MOST_SECONDS)
        heard = await recognise(self._offer.parts, "", sound)
        text, language = written(heard.text), heard.language or self._language
        await self._send("transcript-start", {"language": language})
        await self._send("transcript-chunk", {"text": text})
        await self._send("transcript", {"text": text, "language": language})
        await self._send("transcript-stop")

    # Intents and answers

    async def _recognize(self, text: str) -> None:
        found = await self._offer.understand(text)
        if not found.intents or found.in_scope < found.threshold:
            await self._send("not-recognized", {"text": text})
            return
        entities = [{"name": one.type, "value": one.value} for one in found.entities]
        await self._send("intents-start")
        await self._send("intent", {"name": found.intents[0].name, "entities": entities})
        await self._send("intents-stop")

    async def _handle(self, text: str, context: Any) -> None:
        """A turn of a conversation; the peer names it in its context, and finds the name in the answer's."""
        given = context.get("conversation_id") if isinstance(context, dict) else None
        name = given if isinstance(given, str) and given else uuid.uuid4().hex
        told = {"context": {**(context if isinstance(context, dict) else {}), "conversation_id": name}}
        conversation = "wyoming-" + hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        address, key = Address(channel="wyoming", conversation=conversation, sender=conversation), uuid.uuid4().hex
        message = Message(id=f"u.{key}", parts=(Text(text=text),))
        receipt = await self._gateway.submit(Inbound(address=address, message=message, key=key))
        outcome = await settled(receipt, self._limits.turn_seconds)
        answer = "\n".join(spoken(one) for one in outcome.messages)
        if outcome.outcome == "failed":
            await self._send("not-handled", {"text": answer, **told})
            return
        await self._send("handled-start", told)
        for sentence in Sentences().end(answer):
            await self._send("handled-chunk", {"text": sentence})
        await self._send("handled", {"text": answer, **told})
        await self._send("handled-stop")

    # Text to speech

    def _grow(self, text: str) -> None:
        if self._growing is None:
            raise InputError("synthesize-chunk without synthesize-start before it")
        if sum(map(len, self._growing)) + len(text) > MESSAGE_CHARACTERS:
            self._growing = None
            raise InputError(f"expected at most {MESSAGE_CHARACTERS} characters to say")
        self._growing.append(text)

    async def _synthesize_grown(self) -> None:
        pieces, self._growing = self._growing, None
        if pieces is None:
            raise InputError("synthesize-stop without synthesize-start before it")
        await self._synthesize(pieces, self._voice)
        await self._send("synthesize-stopped")

    async def _synthesize(self, pieces: list[str], voice: str) -> None:
        parts = self._offer.parts
        manners, form = parts.manners, {"rate": RATE, "width": 2, "channels": 1}
        await self._send("audio-start", {**form, "timestamp": 0})
        sent = 0
        for sentence in Sentences().end("".join(pieces)):
            speech = Speech(sentence, manners.language, voice or manners.voice, manners.rate)
            async with aclosing(parts.speaker.speak(speech)) as sound:
                async for samples in sound:
                    for start in range(0, len(samples), _CHUNK):
                        chunk = samples[start : start + _CHUNK]
                        await self._send("audio-chunk", {**form, "timestamp": sent * 1000 // RATE}, to_pcm16(chunk))
                        sent += len(chunk)
        await self._send("audio-stop", {"timestamp": sent * 1000 // RATE})


def _text(data: dict[str, Any], empty: bool = False) -> str:
    text = data.get("text")
    if not isinstance(text, str) or len(text) > MESSAGE_CHARACTERS or not (empty or visible(text)):
        raise InputError(f"expected `text` with 1 to {MESSAGE_CHARACTERS} characters")
    return text.encode("utf-8", "replace").decode()


def _language(given: Any) -> str:
    return given if isinstance(given, str) and len(given) <= 20 else ""


def _voice(data: dict[str, Any]) -> str:
    voice = data.get("voice")
    name = voice.get("name") if isinstance(voice, dict) else None
    return name if isinstance(name, str) and len(name) <= 200 else ""
