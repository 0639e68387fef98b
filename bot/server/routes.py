"""The server's own routes: health, metrics, the description, and what operators may read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel

from bot.core.events import Recorded
from bot.core.program import Program
from bot.core.protocols import Gateway, Understanding
from bot.server.settings import ServerSettings
from bot.telemetry import Telemetry
from connectors.http import Answer, Call, Route
from connectors.rasa_api.operations import Operations, Reading
from connectors.rasa_api.routes import api_routes, basic_routes
from connectors.review import ReviewDesk, review_routes
from connectors.texts import MESSAGE_CHARACTERS, Name

Check = Callable[[], Awaitable[bool]]
Parse = Callable[[str], Awaitable[Understanding]]


@dataclass(frozen=True, slots=True)
class Services:
    """What the server serves. Each of `checks` tells whether one thing works (the store can be written, a bundle is
    loaded); all must for `/readyz`. `parse` runs the classifiers alone; `models` tells which models are in use.
    `operations` are for Rasa's HTTP API; `review` is the queue of turns that people judge.
    """

    gateway: Gateway
    checks: Mapping[str, Check]
    parse: Parse | None = None
    models: Callable[[], Mapping[str, JsonValue]] | None = None
    operations: Operations | None = None
    review: ReviewDesk | None = None


class Health(BaseModel):
    """We are there."""

    status: str


class Ready(BaseModel):
    """Whether we can answer, check by check."""

    ready: bool
    checks: dict[str, bool]


class About(BaseModel):
    """What the page shows before the first message."""

    name: str
    notice: str
    message_characters: int


class Models(RootModel[dict[str, JsonValue]]):
    """The models in use."""


class Document(RootModel[dict[str, JsonValue]]):
    """An OpenAPI description."""


class Operated(BaseModel):
    """The path of any channel's conversation; its id may hold slashes."""

    conversation: Name


class Page(BaseModel):
    """Where to go on reading."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0, le=2**53)
    limit: int = Field(default=200, ge=1, le=1_000)


class History(BaseModel):
    """All events of a conversation. Go on with `after=last_seq` while `more`."""

    events: list[Recorded]
    last_seq: int
    more: bool


class SystemRoutes:
    """The handlers."""

    def __init__(self, services: Services, settings: ServerSettings, telemetry: Telemetry) -> None:
        self._services, self._settings, self._telemetry = services, settings, telemetry

    def routes(self) -> Sequence[Route]:
        """The table; `/openapi.json` is added by the application, which alone knows all routes."""
        history = "/api/v1/admin/conversations/{conversation:.+}/events"
        return (
            Route("GET", "/healthz", self._health, "Whether the process lives", {200: Health}),
            Route("GET", "/readyz", self._ready, "Whether it can answer", {200: Ready, 503: Ready}),
            Route("GET", "/metrics", self._metrics, "Prometheus metrics", {200: "text/plain"}, door="operator"),
            Route("GET", "/api/v1/about", self._about, "What the page shows first", {200: About}),
            Route("GET", "/api/v1/admin/models", self._models, "The models in use", {200: Models}, door="operator"),
            Route("GET", history, self._history, "All events of a conversation", {200: History}, query=Page,
                  segments=Operated, door="operator", errors=(404, 503)),
            *(review_routes(self._services.review) if self._services.review else ()),
            *self._rasa(),
        )  # fmt: skip

    def _rasa(self) -> Sequence[Route]:
        """Rasa's HTTP API, as much of it as the operator wants."""
        services, limits = self._services, self._settings.limits
        if services.operations is None:
            return basic_routes(services.gateway, Reading(services.parse, Program()))
        basic = basic_routes(services.gateway, services.operations)
        if not self._settings.enable_api:
            return basic
        return *basic, *api_routes(services.gateway, services.operations, limits)

    async def _health(self, call: Call[None, None]) -> Answer:
        return Answer(200, Health(status="ok"))

    async def _ready(self, call: Call[None, None]) -> Answer:
        checks = {name: await check() for name, check in self._services.checks.items()}
        ready = all(checks.values())
        return Answer(200 if ready else 503, Ready(ready=ready, checks=checks))

    async def _metrics(self, call: Call[None, None]) -> web.StreamResponse:
        return web.Response(body=self._telemetry.render(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _about(self, call: Call[None, None]) -> Answer:
        named = self._settings
        return Answer(200, About(name=named.name, notice=named.notice, message_characters=MESSAGE_CHARACTERS))

    async def _models(self, call: Call[None, None]) -> Answer:
        return Answer(200, Models(dict(self._services.models()) if self._services.models else {}))

    async def _history(self, call: Call[None, Page]) -> Answer:
        limit = min(call.query.limit, self._settings.limits.page_events)
        found = await self._services.gateway.read(call.segments.conversation, call.query.after, limit)
        last = found[-1].seq if found else call.query.after
        more = len(found) == limit
        return Answer(200, History(events=list(found), last_seq=last, more=more), exclude_none=False)
