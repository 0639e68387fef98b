"""The application: one table of routes, one boundary around them, nothing global.

The boundary turns every error into JSON. Errors raised on purpose say what to do; anything else is our fault, becomes a
500 with a request id and is logged with that id. Security headers are added when an answer's head is sent, so streams
and pages have them too.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import cache
from importlib.metadata import entry_points

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from bot import __version__
from bot.core.errors import BotError
from bot.server import errors
from bot.server.binding import bind, counted
from bot.server.openapi import describe
from bot.server.routes import Document, Services, SystemRoutes
from bot.server.security import HEADERS, Guard
from bot.server.settings import ServerSettings
from bot.telemetry import MeteredGateway, Telemetry
from connectors.http import Answer, Call, HttpChannel, Route
from connectors.limits import Limits

SETTINGS: web.AppKey[ServerSettings] = web.AppKey("settings", ServerSettings)
TELEMETRY: web.AppKey[Telemetry] = web.AppKey("telemetry", Telemetry)
CHANNELS: web.AppKey[Sequence[HttpChannel]] = web.AppKey("channels", Sequence[HttpChannel])
REQUEST_ID: web.RequestKey[str] = web.RequestKey("request_id", str)
CROSS_ORIGIN: web.RequestKey[str] = web.RequestKey("cross_origin", str)
_log = structlog.get_logger("understudy.server")
Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


def find_channels(limits: Limits) -> tuple[HttpChannel, ...]:
    """The installed channels that speak HTTP (entry points of the group `understudy.channels`)."""
    found = sorted(entry_points(group="understudy.channels"), key=lambda point: point.name)
    kinds = [point.load() for point in found]
    return tuple(kind(limits) for kind in kinds if hasattr(kind, "routes"))


def build_app(
    services: Services,
    settings: ServerSettings,
    channels: Sequence[HttpChannel],
    telemetry: Telemetry | None = None,
) -> web.Application:
    """The application, not yet started. Channels are opened when it starts and closed when it stops."""
    telemetry = telemetry or Telemetry()
    guard = Guard(settings)
    app = web.Application(middlewares=[_boundary(guard)], client_max_size=settings.limits.body_bytes)
    app[SETTINGS], app[TELEMETRY], app[CHANNELS] = settings, telemetry, channels
    for route in all_routes(services, settings, channels, telemetry):
        handle = counted(route, bind(route, guard, settings.limits), telemetry)
        app.router.add_route(route.method, route.path, handle)
    app.cleanup_ctx.append(_running(services, telemetry))
    app.on_response_prepare.append(_add_headers)
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


def _boundary(guard: Guard) -> Middleware:
    """The one place where errors become answers."""

    @web.middleware
    async def boundary(request: web.Request, handler: Handle) -> web.StreamResponse:
        request_id = request[REQUEST_ID] = secrets.token_hex(8)
        try:
            guard.check_host(request)
            request[CROSS_ORIGIN] = origin = guard.check_origin(request) or ""
            if origin and request.method == "OPTIONS":
                return _preflight()
            return await handler(request)
        except BotError as error:
            if errors.status_of(error) == 500:
                _log.error("request_failed", request_id=request_id, code=error.code, exc_info=error)
                return errors.problem(500, "internal", errors.INTERNAL, request_id)
            return errors.from_error(error, request_id)
        except web.HTTPException as error:
            return errors.from_http(error, request_id)
        except ConnectionError:
            raise
        except Exception as error:
            _log.error("request_failed", request_id=request_id, exc_info=error)
            if request.writer.output_size:
                raise ConnectionResetError("the answer had begun") from error
            return errors.problem(500, "internal", errors.INTERNAL, request_id)

    return boundary


def _preflight() -> web.Response:
    return web.Response(
        status=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
            "Access-Control-Max-Age": "600",
        },
    )


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    headers = response.headers
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers["Server"] = "understudy"
    headers["X-Request-Id"] = request.get(REQUEST_ID, "")
    if origin := request.get(CROSS_ORIGIN):
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Expose-Headers"] = "Retry-After, X-Request-Id"
        headers["Vary"] = "Origin"
