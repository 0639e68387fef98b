"""All routes of Rasa's HTTP API in one table."""

from __future__ import annotations

from aiohttp import web

from bot.core.protocols import Gateway
from bot.core.rasa import RASA_VERSION
from connectors.http import Answer, Call, Handler, Route
from connectors.limits import Limits
from connectors.rasa_api.conversations import Conversations, Trackers
from connectors.rasa_api.models import Models, Parsing
from connectors.rasa_api.operations import Operations, Reads


def basic_routes(gateway: Gateway, reads: Reads) -> tuple[Route, ...]:
    """Reading a tracker, parsing a text."""
    return *Trackers(gateway, reads).basic(), *Parsing(reads).basic()


def api_routes(gateway: Gateway, operations: Operations, limits: Limits) -> tuple[Route, ...]:
    """Everything else but `GET /`."""
    return *Conversations(gateway, operations, limits).routes(), *Models(operations).routes()


def greeting(page: Handler | None) -> Handler:
    """`GET /`: a line of text for tools, the built-in page for browsers."""

    async def greet(call: Call[None, None]) -> Answer | web.StreamResponse:
        if page is not None and "text/html" in call.request.headers.get("Accept", ""):
            return await page(call)
        return web.Response(text=f"Hello from Understudy, which speaks the HTTP API of Rasa {RASA_VERSION}")

    return greet
