"""The seam between the server and the channels that speak HTTP.

One table of `Route`s drives routing, validation and the OpenAPI description, so they cannot disagree. A handler gets a
`Call` whose body and query have been validated by the very models that the description shows, and returns an `Answer`
or, for streams and files, a response of its own. Handlers raise the errors of `bot.core.errors`; the server turns them
into JSON.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

from aiohttp import web
from pydantic import BaseModel, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from bot.core.errors import Refused, UserError
from bot.core.protocols import Channel
from connectors.limits import Limits
from connectors.texts import IN_WORDS

BodyT = TypeVar("BodyT")
QueryT = TypeVar("QueryT")
Door = Literal["public", "operator", "rasa", "key"]


class RateLimited(Refused):
    """One client asks too often."""

    code = "rate_limited"


class NotSigned(UserError):
    """A request that another service should have signed."""

    code = "forbidden"


@dataclass(frozen=True, slots=True)
class Call(Generic[BodyT, QueryT]):
    """One request after validation by the route's models. `client` is the caller's address, for limits only."""

    request: web.Request
    body: BodyT
    query: QueryT
    segments: Any
    headers: Any
    client: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a JSON value, by default without the fields that are `None`."""

    status: int
    body: BaseModel
    exclude_none: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call[Any, Any]], Awaitable[Answer | web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. `path` is an aiohttp pattern; `answers` maps each success status to its model.

    `body`, `query`, `segments` (of the path) and `headers` are what a request is validated by. A success without a
    JSON model gives its media type instead (`"text/plain"`); `stream` is a media type that it may also come in.
    `errors` are the error statuses that the operation can end in besides those that every operation can (400, 403, 405,
    408, 413, 421 and 500). Where `needs_origin`, a request without an Origin header must pass the operators' door.

    Behind the door "rasa" is Rasa's HTTP API, whose errors have Rasa's shape; its `conversation` segment is the one
    that a user's JWT must name. `raw` is the media type of a body that comes as bytes; `large` lets it be larger.

    Behind the door "key" is the OpenAI-compatible server, whose errors have OpenAI's shape. `admit` is called before
    the body is read; it raises if the caller may not go on.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, type[BaseModel] | str]
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    segments: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    stream: str | None = None
    door: Door = "public"
    needs_origin: bool = False
    errors: Sequence[int] = ()
    raw: str | None = None
    large: bool = False
    admit: Callable[[web.Request], None] | None = None


Changed = Callable[[str, int], Awaitable[tuple[Sequence[str], int]]]


@dataclass(frozen=True, slots=True)
class Setup:
    """What the operator says about one channel: its section of credentials.yml, and whether payloads are let through.

    `payloads`: anybody may type `/intent{...}` and is obeyed, as in Rasa; otherwise only buttons that we have sent are.
    `changed` gives the conversations begun on a channel that have events above a position of the log, and the position
    they were read at; 0 asks for all that are recent. It is for channels that deliver by themselves.
    """

    credentials: Mapping[str, JsonValue] = field(default_factory=dict)
    payloads: bool = False
    changed: Changed | None = None


class HttpChannel(Channel, Protocol):
    """A channel that is reached by HTTP. Made with the limits and its setup, opened and closed with the server."""

    def __init__(self, limits: Limits, setup: Setup = ...) -> None: ...

    def routes(self) -> Sequence[Route]:
        """What it answers to."""
        ...

    def stats(self) -> Mapping[str, float]:
        """Figures for the metrics, read at each scrape: names ending in `_total` are counters, others gauges."""
        ...

    async def drain(self) -> None:
        """The server stops: let turns in progress end, then close what stays open."""
        ...


class Throttle:
    """Token buckets by key: `burst` at once, refilled at `rate` a second. Forgets the keys used longest ago."""

    def __init__(self, rate: float, burst: float, keys: int = 20_000) -> None:
        self._rate, self._burst, self._keys = rate, burst, keys
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, what: str) -> None:
        """Take one token.

        Raises:
            RateLimited: there is none; says when there will be.
        """
        now = time.monotonic()
        level, at = self._levels.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        self._levels[key] = (max(level - 1, 0.0) if level >= 1 else level, now)
        if len(self._levels) > self._keys:
            self._levels.popitem(last=False)
        if level < 1:
            wait = (1 - level) / self._rate
            raise RateLimited(f"too many {what}; try again in {wait:.1f} s", retry_after=wait)


def explain(error: ValidationError) -> str:
    """What was expected, field by field, for the client."""
    found = error.errors(include_url=False, include_input=False)
    lines = [f"{'.'.join(map(str, item['loc'])) or 'body'}: {_in_words(item)}" for item in found[:3]]
    more = f" (and {len(found) - 3} more)" if len(found) > 3 else ""
    return "; ".join(lines)[:500] + more


def _in_words(item: ErrorDetails) -> str:
    return IN_WORDS.get(item.get("ctx", {}).get("pattern", ""), item["msg"])
