"""Calls over a browser's WebSocket, on real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError

from bot.core import events as ev
from bot.sound import Samples, to_pcm16
from connectors.voice.channel import STATIC
from tests.connectors.voice.served import Served, serving
from tests.fakes_voice import silence

ADDRESS = "/api/v1/voice"


@asynccontextmanager
async def called(served: Served, **start: Any) -> AsyncIterator[ClientWebSocketResponse]:
    async with served.http.ws_connect(ADDRESS) as socket:
        await socket.send_json({"type": "start", **start})
        yield socket


async def say(socket: ClientWebSocketResponse, *sounds: Samples) -> None:
    for sound in sounds:
        for start in range(0, len(sound), 1600):
            await socket.send_bytes(to_pcm16(sound[start : start + 1600]))


async def until(socket: ClientWebSocketResponse, kind: str, marks: bool = True) -> tuple[list[Any], int]:
    """The JSON frames up to the first of a kind, and how many bytes of sound came; marks are sent back at once."""
    found: list[Any] = []
    sound = 0
    async with asyncio.timeout(10):
        while not found or found[-1]["type"] != kind:
            message = await socket.receive()
            if message.type is WSMsgType.BINARY:
                sound += len(message.data)
                continue
            found.append(message.json())
            if marks and found[-1]["type"] == "mark":
                await socket.send_json(found[-1])
    return found, sound


async def test_a_call_is_heard_and_answered_in_sound(served: Served) -> None:
    async with called(served) as socket:
        await say(socket, served.book.sound("plain thing"), silence(1.0))
        frames, sound = await until(socket, "said")
    kinds = [frame["type"] for frame in frames]
    assert kinds[0] == "started" and {"speech_started", "final", "turn", "say", "latency"} <= set(kinds)
    assert sound == len("Hi there.") * 800 * 2
    assert served.facts(ev.Received)[0].message.text == "plain thing"


async def test_sound_of_another_rate_is_understood(served: Served) -> None:
    from bot.sound import resample

    async with called(served, rate=48_000) as socket:
        sound = resample(served.book.sound("plain thing"), 16_000, 48_000)
        await say(socket, sound, resample(silence(1.0), 16_000, 48_000))
        frames, _ = await until(socket, "final")
    assert frames[-1]["text"] == "plain thing"


async def test_a_device_with_a_voice_of_its_own_gets_words_and_no_sound(served: Served) -> None:
    async with called(served, speech="text") as socket:
        await say(socket, served.book.sound("plain thing"), silence(1.0))
        frames, sound = await until(socket, "said")
    assert sound == 0 and next(frame for frame in frames if frame["type"] == "say")["text"] == "Hi there."


async def test_bad_frames_are_errors_and_the_call_goes_on(served: Served) -> None:
    async with called(served) as socket:
        await socket.send_bytes(b"odd")
        await socket.send_str("{}")
        await socket.send_json({"type": "start"})
        for _ in range(3):
            frames, _ = await until(socket, "error")
            assert frames[-1]["code"] == "bad_input"
        await say(socket, served.book.sound("plain thing"), silence(1.0))
        await until(socket, "final")


async def test_too_many_bad_frames_close_the_call(served: Served) -> None:
    async with called(served) as socket:
        for _ in range(10):
            await socket.send_str("nonsense")
        while not socket.closed:
            await socket.receive()
        assert socket.close_code == 1008


async def test_without_a_start_there_is_no_call(served: Served) -> None:
    async with served.http.ws_connect(ADDRESS) as socket:
        await socket.send_json({"type": "stop"})
        await socket.receive()
        assert socket.close_code == 1008 and not served.channel.desk.calls


async def test_a_full_house_refuses_the_next_call() -> None:
    async with serving("plain thing", calls=1) as served, called(served) as socket:
        await until(socket, "started")
        try:
            await served.http.ws_connect(ADDRESS)
            raise AssertionError
        except WSServerHandshakeError as error:
            assert error.status == 503


async def test_pages_of_other_sites_may_not_call(served: Served) -> None:
    try:
        await served.http.ws_connect(ADDRESS, headers={"Origin": "https://evil.example"})
        raise AssertionError
    except WSServerHandshakeError as error:
        assert error.status == 403


async def test_the_page_has_no_inline_code_and_may_use_the_microphone(served: Served) -> None:
    async with served.http.get("/voice") as answer:
        page = await answer.text()
        assert "microphone=(self)" in answer.headers["Permissions-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "style=" not in page and "onclick" not in page and page.count("<script") == 1
    for name in ("voice.js", "worklet.js", "voice.css"):
        async with served.http.get(f"/voice/{name}") as answer:
            assert await answer.read() == (STATIC / name).read_bytes()
