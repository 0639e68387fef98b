"""The application: one table of routes, one boundary around them (`bot.server.errors`), nothing global.

Security headers are added when an answer's head is sent, so streams and pages have them too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache

from aiohttp import web

from bot import __version__
from bot.server import errors
from bot.server.binding import bind, counted
from bot.server.channels import find_channels
from bot.server.openapi import describe
from bot.server.routes import Document, Services, SystemRoutes
from bot.server.security import Guard, add_headers
from bot.server.settings import ServerSettings
from bot.telemetry import MeteredGateway, Telemetry
from connectors.http import Answer, Call, HttpChannel, Route
from connectors.rasa_api.routes import greeting

__all__ = ["build_app", "find_channels"]

SETTINGS: web.AppKey[ServerSettings] = web.AppKey("settings", ServerSettings)
TELEMETRY: web.AppKey[Telemetry] = web.AppKey("telemetry", Telemetry)
CHANNELS: web.AppKey[Sequence[HttpChannel]] = web.AppKey("channels", Sequence[HttpChannel])


def build_app(
    services: Services,
    settings: ServerSettings,
    channels: Sequence[HttpChannel],
    telemetry: Telemetry | None = None,
) -> web.Application:
    """The application, not yet started. Channels are opened when it starts and closed when it stops."""
    telemetry = telemetry or Telemetry()
    guard = Guard(settings)
    app = web.Application(middlewares=[errors.boundary(guard)], client_max_size=settings.limits.body_bytes)
    app[SETTINGS], app[TELEMETRY], app[CHANNELS] = settings, telemetry, channels
    for route in all_routes(services, settings, channels, telemetry):
        handle = counted(route, bind(route, guard, settings.limits), telemetry)
        app.router.add_route(route.method, route.path, handle)
    app.cleanup_ctx.append(_running(services, telemetry))
    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(_drain)
    return app


def all_routes(
    services: Services, settings: ServerSettings, channels: Sequence[HttpChannel], telemetry: Telemetry
) -> tuple[Route, ...]:
    """Every route, the description of them all included."""
    routes = [*SystemRoutes(services, settings, telemetry).routes()]
    for channel in channels:
        routes += channel.routes()

    @cache
    def document() -> Document:
        return Document(describe(routes, settings.name, __version__))

    async def openapi(call: Call[None, None]) -> Answer:
        return Answer(200, document(), exclude_none=False)

    if settings.enable_api:
        page = next((route for route in routes if (route.method, route.path) == ("GET", "/")), None)
        routes = [route for route in routes if route is not page]
        told = {200: "text/plain"} if page is None else page.answers
        routes.append(Route("GET", "/", greeting(page.handler if page else None), "That we are here", told))
    routes.append(Route("GET", "/openapi.json", openapi, "This description", {200: Document}))
    return tuple(routes)


def _running(services: Services, telemetry: Telemetry) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(app: web.Application) -> AsyncIterator[None]:
        gateway = MeteredGateway(services.gateway, telemetry)
        for channel in app[CHANNELS]:
            await channel.open(gateway)
            telemetry.watch(channel.stats)
        lag = asyncio.create_task(telemetry.measure_lag())
        yield
        lag.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await lag
        for channel in app[CHANNELS]:
            await channel.close()

    return context


async def _drain(app: web.Application) -> None:
    await asyncio.gather(*(channel.drain() for channel in app[CHANNELS]))
