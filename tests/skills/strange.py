"""A server that speaks OpenAI's protocol, or anything else: each test says what it does."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from bot.sections import GeneratorSettings
from skills.remote_generator import RemoteGenerator

DONE = b"data: [DONE]\n\n"
KEY = "sk-very-secret"
Respond = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


@dataclass
class Strange:
    """A server that does what `respond` says; remembers what it was asked, and when clients went away."""

    respond: Respond
    url: str = ""
    statuses: list[int] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    head: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append(dict(request.headers))
        self.begun.set()
        status = self.statuses.pop(0) if self.statuses else 200
        if status != 200:
            return web.Response(status=status, text=f"the key {KEY} said too much", headers={"Location": "/elsewhere"})
        response = web.StreamResponse(headers=self.head)
        await response.prepare(request)
        try:
            await self.respond(request, response)
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        return response

    async def models(self, request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "small", "object": "model"}]})


@asynccontextmanager
async def strange(
    respond: Respond, tls: ssl.SSLContext | None = None, **settings: Any
) -> AsyncIterator[tuple[Strange, RemoteGenerator]]:
    server = Strange(respond)
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.chat)
    app.router.add_get("/v1/models", server.models)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    server.url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}/v1"
    given: dict[str, Any] = {"base_url": server.url, "model": "small", "api_key": SecretStr(KEY), "first_s": 5.0}
    generator = await RemoteGenerator.connect(GeneratorSettings(**given | settings))
    try:
        yield server, generator
    finally:
        await generator.close()
        await runner.cleanup()


def chunk(text: str | None, end: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {} if text is None else {"content": text}, "finish_reason": end}
    return b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"


def saying(*parts: bytes | str) -> Respond:
    """A server that sends these pieces of text, or bytes as they are."""

    async def respond(request: web.Request, response: web.StreamResponse) -> None:
        for part in parts:
            await response.write(chunk(part) if isinstance(part, str) else part)
            await asyncio.sleep(0.001)

    return respond


def then_silent(*parts: str) -> Respond:
    async def respond(request: web.Request, response: web.StreamResponse) -> None:
        await saying(*parts)(request, response)
        await asyncio.sleep(60)

    return respond
