"""Every wire of calls on a real server, over the bot of `tests.connectors.live`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from bot.manager import Manager
from bot.server.app import build_app
from bot.server.routes import Services
from bot.server.run import make_runner
from bot.server.settings import ServerSettings
from connectors.voice.channel import VoiceChannel, VoiceOffer
from connectors.voice.parts import Manners
from tests.connectors.live import bot
from tests.fakes import MemoryStore, models
from tests.fakes_voice import Hum, Phrasebook, parts

QUICK = Manners()


@dataclass
class Served:
    """A running server, its parts, and a client whose addresses are relative to it."""

    store: MemoryStore
    manager: Manager
    book: Phrasebook
    hum: Hum
    channel: VoiceChannel
    http: aiohttp.ClientSession
    port: int

    def facts(self, kind: type[Any]) -> list[Any]:
        return [recorded.event for recorded in self.store.log if isinstance(recorded.event, kind)]


@asynccontextmanager
async def serving(*texts: str, manners: Manners = QUICK, **offered: Any) -> AsyncIterator[Served]:
    settings = ServerSettings.model_validate({"port": 0, **offered.pop("server", {})})
    store, book, hum = MemoryStore(), Phrasebook(*texts, took=0.0), Hum(latency=0.0)
    manager = Manager(store, models(program=bot()))
    given = parts(book, hum, manners=manners, hush=manager.hush)
    channel = VoiceChannel(settings.limits, VoiceOffer(given, **offered))
    runner = make_runner(build_app(Services(manager, {}), settings, (channel,)))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            yield Served(store, manager, book, hum, channel, http, port)
    finally:
        await runner.cleanup()
        await manager.close()
