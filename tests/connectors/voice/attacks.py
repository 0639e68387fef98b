"""A peer that sends spoilt frames over one wire, and calls again when it is hung up on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
from aiohttp import ClientWebSocketResponse

from tests.connectors.voice.hostile import mutated
from tests.connectors.voice.served import Served
from tests.connectors.voice.test_twilio import HOST, START, headers, media, signature

BROWSER: list[Any] = [
    {"type": "mark", "name": "1.3200"}, {"type": "key", "key": "5"}, {"type": "interrupt"},
    {"type": "start", "rate": 16_000, "speech": "audio"}, {"type": "stop"},
]  # fmt: skip
TWILIO: list[Any] = [
    START, media(b"\xff" * 160, timestamp="20"), {"event": "dtmf", "dtmf": {"digit": "1"}},
    {"event": "mark", "mark": {"name": "1.3200"}}, {"event": "stop"},
]  # fmt: skip
REALTIME: list[Any] = [
    {"type": "session.update", "session": {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm"}}}}},
    {"type": "input_audio_buffer.append", "audio": "AAAAAAAA"}, {"type": "input_audio_buffer.clear"},
    {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": [
        {"type": "input_text", "text": "plain thing"}]}},
    {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0, "audio_end_ms": 20},
    {"type": "response.create"}, {"type": "response.cancel"}, {"type": "output_audio_buffer.clear"},
]  # fmt: skip
WYOMING: list[Any] = [
    {"type": "describe"}, {"type": "ping", "data": {"text": "x"}}, {"type": "recognize", "data": {"text": "order"}},
    {"type": "audio-start", "data": {"rate": 16_000, "width": 2, "channels": 1}}, {"type": "audio-stop"},
    {"type": "audio-chunk", "data": {"rate": 16_000, "width": 2, "channels": 1}, "payload_length": 4},
    {"type": "transcript", "data": {"text": "plain", "context": {"conversation_id": "a"}}},
    {"type": "synthesize", "data": {"text": "x", "voice": {"name": "a"}}}, {"type": "synthesize-start", "data": {}},
    {"type": "synthesize-chunk", "data": {"text": "x"}}, {"type": "synthesize-stop", "data_length": 2},
]  # fmt: skip
KEYED = {"Authorization": "Bearer us-right"}


async def attack_socket(
    served: Served, address: str, first: list[Any], frames: list[Any], count: int, dice: random.Random, **opened: Any
) -> int:
    """Send so many spoilt frames over a WebSocket; how many calls that took."""
    calls = sent = 0
    while sent < count:
        with suppress(ConnectionError, aiohttp.ClientError):
            async with served.http.ws_connect(address, **opened) as socket:
                calls += 1
                for frame in first:
                    await socket.send_json(frame)
                drain = asyncio.ensure_future(_drain(socket))
                while sent < count and not socket.closed:
                    frame = mutated(dice.choice(frames), dice)
                    await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(_plain(frame)))
                    sent += 1
                    if sent % 2 == 0:
                        await asyncio.sleep(0)
                drain.cancel()
                await asyncio.gather(drain, return_exceptions=True)
    return calls


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


async def _drain(socket: ClientWebSocketResponse) -> None:
    while not socket.closed:
        await socket.receive()


async def attack_wyoming(port: int, count: int, dice: random.Random) -> int:
    """Send so many spoilt events over TCP; how many connections that took."""
    calls = sent = 0
    while sent < count:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        calls += 1
        drain = asyncio.ensure_future(_swallow(reader))
        with suppress(ConnectionError):
            while sent < count and not drain.done():
                frame = mutated(dice.choice(WYOMING), dice)
                raw = frame if isinstance(frame, bytes) else frame.encode("utf-8", "replace")
                writer.write(raw + b"\n" + dice.randbytes(dice.choice((0, 0, 0, 2, 4))))
                sent += 1
                await writer.drain()
                if sent % 2 == 0:
                    await asyncio.sleep(0)
            writer.write_eof()
        drain.cancel()
        await asyncio.gather(drain, return_exceptions=True)
        writer.close()
    return calls


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


def attacks(served: Served) -> dict[str, Callable[[int, random.Random], Any]]:
    """The attack on each wire of a server that has all of them."""
    from connectors.voice.twilio import STREAM

    signed = headers(signature(f"wss://{HOST}{STREAM}"))
    assert served.channel.wyoming is not None
    port = served.channel.wyoming.port
    start = [{"type": "start"}]
    phone = [{"event": "connected"}, START]
    return {
        "browser": lambda n, dice: attack_socket(served, "/api/v1/voice", start, BROWSER, n, dice),
        "twilio": lambda n, dice: attack_socket(served, STREAM, phone, TWILIO, n, dice, headers=signed),
        "realtime": lambda n, dice: attack_socket(served, "/v1/realtime", [], REALTIME, n, dice, headers=KEYED),
        "wyoming": lambda n, dice: attack_wyoming(port, n, dice),
    }
