"""Speech from a server of OpenAI's shape, and from servers that behave badly in every way we could think of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from pydantic import SecretStr

from bot.core.errors import SettingsError, SkillError
from bot.core.speech import RATE, Speaker, Speech
from bot.sections import SpeakerSettings
from bot.sound import to_pcm16
from bot.speaking.openai import OpenAISpeaker
from tests.voice_speakers import sound_of

KEY = "sk-very-secret"
YES = Speech("Yes, it <emphasis> is </emphasis> here.", "de", rate=1.5)
TONE = to_pcm16((0.5 * np.sin(np.arange(24000) * 2 * np.pi * 440 / 24000)).astype(np.float32))
Respond = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


class Server:
    """Answers as `respond` says; remembers what it was asked and when a client went away."""

    def __init__(self, respond: Respond, status: int, head: dict[str, str]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.left = asyncio.Event()
        self._respond, self._status, self._head = respond, status, head

    async def speech(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append(dict(request.headers))
        if self._status != 200:
            return web.Response(status=self._status, text=f"the key {KEY} is bad", headers={"Location": "/elsewhere"})
        response = web.StreamResponse(headers=self._head)
        await response.prepare(request)
        try:
            await self._respond(request, response)
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        return response


@asynccontextmanager
async def serving(
    respond: Respond, status: int = 200, media: str = "audio/pcm", **settings: Any
) -> AsyncIterator[tuple[Server, OpenAISpeaker]]:
    head = settings.pop("head", {}) | {"Content-Type": media}
    server = Server(respond, status, head)
    app = web.Application()
    app.router.add_post("/v1/audio/speech", server.speech)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    given = {"kind": "openai", "url": f"http://127.0.0.1:{runner.addresses[0][1]}/v1", "api_key": KEY} | settings
    speaker = await OpenAISpeaker.connect(SpeakerSettings.model_validate(given))
    try:
        yield server, speaker
    finally:
        await speaker.close()
        await runner.cleanup()


def saying(*parts: bytes | float) -> Respond:
    async def respond(request: web.Request, response: web.StreamResponse) -> None:
        for part in parts:
            await (response.write(part) if isinstance(part, bytes) else asyncio.sleep(part))

    return respond


async def test_a_sentence_is_heard_as_it_was_sent() -> None:
    async with serving(saying(TONE[:101], 0.001, TONE[101:]), voices={"de": "onyx"}, model="small") as (
        server,
        speaker,
    ):
        sound = await sound_of(speaker.speak(YES))
        assert isinstance(speaker, Speaker) and speaker.id.startswith("small at 127.0.0.1:")
    assert len(sound) == RATE and np.argmax(np.abs(np.fft.rfft(sound))) == 440
    assert server.asked == [
        {"model": "small", "input": "Yes, it is here.", "voice": "onyx", "response_format": "pcm", "speed": 1.5}
    ]
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


async def test_the_first_sound_comes_before_the_last_is_made() -> None:
    async with serving(saying(TONE, 60.0)) as (server, speaker):
        async with aclosing(speaker.speak(YES)) as sound:
            assert len(await anext(sound))
        await asyncio.wait_for(server.left.wait(), 5)


async def test_without_a_key_none_is_sent() -> None:
    async with serving(saying(TONE), api_key=None) as (server, speaker):
        await sound_of(speaker.speak(YES))
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize(
    ("status", "why"),
    [(401, "take the key"), (403, "take the key"), (302, "elsewhere"), (404, "no such"), (429, "429"), (500, "500")],
)
async def test_a_refusal_is_told_without_the_servers_words(status: int, why: str) -> None:
    async with serving(saying(), status) as (_, speaker):
        with pytest.raises(SkillError, match=why) as error:
            await sound_of(speaker.speak(YES))
    assert KEY not in str(error.value)


@pytest.mark.parametrize("media", ["text/html", "application/json", "audio/mpeg", "audio/wav"])
async def test_what_is_no_pcm_is_refused(media: str) -> None:
    async with serving(saying(TONE), media=media) as (_, speaker):
        with pytest.raises(SkillError, match="not with the PCM"):
            await sound_of(speaker.speak(YES))


async def test_compressed_sound_is_refused() -> None:
    async with serving(saying(TONE), head={"Content-Encoding": "gzip"}) as (_, speaker):
        with pytest.raises(SkillError, match="compressed"):
            await sound_of(speaker.speak(YES))


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ((), "no sound"),
        ((bytes(48_000),), "no sound"),
        ((60.0,), "made no sound within 0.05 s"),
        ((TONE, 60.0), "did not go on within 0.05 s"),
    ],
)
async def test_a_bad_sound_is_an_error_in_time(parts: tuple[bytes | float, ...], why: str) -> None:
    async with serving(saying(*parts), first_s=0.05 if parts == (60.0,) else 5.0, between_s=0.05) as (_, speaker):
        with pytest.raises(SkillError, match=why):
            await sound_of(speaker.speak(YES))


async def test_a_connection_that_breaks_is_an_error() -> None:
    async def respond(request: web.Request, response: web.StreamResponse) -> None:
        await response.write(TONE)
        assert request.transport is not None
        request.transport.abort()

    async with serving(respond) as (_, speaker):
        with pytest.raises(SkillError, match=r"failed \("):
            await sound_of(speaker.speak(YES))


async def test_nobody_there_is_an_error() -> None:
    speaker = await OpenAISpeaker.connect(SpeakerSettings(kind="openai", url="http://127.0.0.1:1/v1"))
    with pytest.raises(SkillError, match="failed"):
        await sound_of(speaker.speak(YES))
    await speaker.close()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"url": "tcp://127.0.0.1:1"}, "such as http"),
        ({"url": "http://127.0.0.1:1/v1?key=1"}, "no query"),
        ({"url": "https://a:b@speech.example/v1"}, "holds a name"),
        ({"url": "http://speech.example/v1", "api_key": SecretStr(KEY)}, "in the open"),
        ({"url": "http://127.0.0.1/v1", "api_key": SecretStr("a\nb")}, "visible ASCII"),
    ],
)
async def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why) as error:
        await OpenAISpeaker.connect(SpeakerSettings(kind="openai", **settings))
    assert KEY not in str(error.value)
