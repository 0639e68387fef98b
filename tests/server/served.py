"""A real server on a free loopback port, over the in-memory gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web

from bot.core.protocols import Understanding
from bot.server.app import build_app
from bot.server.routes import Services
from bot.server.run import make_runner
from bot.server.settings import ServerSettings
from connectors.rest import RestChannel
from connectors.review import ReviewDesk
from connectors.web import WebChannel
from tests.connectors.fakes_gateway import MemoryGateway


@dataclass
class Served:
    """A running server and a client whose addresses are relative to it."""

    gateway: MemoryGateway
    http: aiohttp.ClientSession
    port: int
    app: web.Application
    runner: web.AppRunner
    web: WebChannel


async def _yes() -> bool:
    return True


async def understand(text: str) -> Understanding:
    return Understanding(text, "en", True, (), 0.2, 0.5, (), "b1")


@asynccontextmanager
async def serving(ready: bool = True, review: ReviewDesk | None = None, **settings: object) -> AsyncIterator[Served]:
    chosen = ServerSettings.model_validate({"port": 0, **settings})
    gateway = MemoryGateway()

    async def check() -> bool:
        return ready

    services = Services(gateway, {"store": check, "bundle": _yes}, understand, lambda: {"bundle": "b1"}, review=review)
    page = WebChannel(chosen.limits)
    app = build_app(services, chosen, (RestChannel(chosen.limits), page))
    runner = make_runner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            yield Served(gateway, http, port, app, runner, page)
    finally:
        await runner.cleanup()
        await gateway.close()
