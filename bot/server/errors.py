"""Errors as JSON: `{"error": {"code", "message", "request_id"}}`, never a traceback.

The boundary around all handlers stands here. Errors raised on purpose say what to do; anything else is our fault,
becomes a 500 with a request id and is logged with that id.
"""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware
from pydantic import BaseModel

from bot.core.errors import BotError, Busy, Conflict, DuplicateMismatch, NotFound, Refused, UserError
from bot.core.rasa import RASA_VERSION
from bot.server.security import (
    CROSS_ORIGIN,
    OPENAI,
    RASA,
    REQUEST_ID,
    Forbidden,
    Guard,
    Misdirected,
    Unauthorized,
    preflight,
)
from connectors.http import NotSigned, RateLimited
from connectors.openai_api_errors import OverQuota, WrongKey, api_problem
from connectors.rasa_api.operations import NotNow
from connectors.turns import OutcomePending

INTERNAL = "something went wrong on our side; the operator finds it in the log under this request id"
_log = structlog.get_logger("understudy.server")
Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
_STATUS: tuple[tuple[type[BotError], int], ...] = (
    (NotFound, 404),
    (NotNow, 409),
    (DuplicateMismatch, 409),
    (Unauthorized, 401),
    (WrongKey, 401),
    (Forbidden, 403),
    (NotSigned, 403),
    (Misdirected, 421),
    (UserError, 400),
    (RateLimited, 429),
    (Busy, 429),
    (OutcomePending, 504),
    (Refused, 503),
    (Conflict, 503),
)


class ErrorBody(BaseModel):
    """What went wrong. `code` is for machines and never changes; `message` says what to do."""

    code: str
    message: str
    request_id: str


class RasaProblem(BaseModel):
    """The same in Rasa's shape, for its HTTP API."""

    version: str = RASA_VERSION
    status: str = "failure"
    message: str
    reason: str
    details: dict[str, str] = {}
    help: str | None = None
    code: int


class Problem(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorBody


def status_of(error: BotError) -> int:
    """The HTTP status of an error raised on purpose; 500 if it is not the caller's to mend."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


_REASONS = {400: "BadRequest", 401: "NotAuthenticated", 403: "NotAuthorized", 404: "NotFound", 409: "Conflict"}


def rasa_problem(status: int, message: str) -> web.Response:
    """An error answer as Rasa gives it."""
    reason = _REASONS.get(status) or HTTPStatus(status).phrase.title().replace(" ", "")
    body = RasaProblem(message=message, reason=reason, code=status)
    return web.Response(status=status, body=body.model_dump_json().encode(), content_type="application/json")


def problem(status: int, code: str, message: str, request: web.Request, error: BotError | None = None) -> web.Response:
    """An error answer."""
    if request.get(RASA):
        return rasa_problem(status, message)
    if request.get(OPENAI) or request.path.startswith("/v1/"):  # no route, so nobody has marked it
        content = api_problem(status, code, message, error).model_dump_json().encode()
        return web.Response(status=status, body=content, content_type="application/json")
    body = Problem(error=ErrorBody(code=code, message=message, request_id=request[REQUEST_ID]))
    return web.Response(status=status, body=body.model_dump_json().encode(), content_type="application/json")


def from_error(error: BotError, request: web.Request) -> web.Response:
    """The answer to an error raised on purpose."""
    response = problem(status_of(error), error.code, str(error), request, error)
    if isinstance(error, Refused):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, OverQuota):
        response.headers.update(error.headers)
    if isinstance(error, WrongKey):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="operators"'
    return response


def from_http(error: web.HTTPException, request: web.Request) -> web.Response:
    """The answer to an error that aiohttp raised: no such address, wrong method, body too large."""
    code = HTTPStatus(error.status).name.lower()
    message = {
        404: "there is nothing at this address; /openapi.json lists what there is",
        405: "this address does not take that method; see the Allow header",
        413: "the request body is too large; docs/limits.md lists the limits",
    }.get(error.status, error.reason)
    response = problem(error.status, code, message, request)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def boundary(guard: Guard) -> Middleware:
    """The one place where errors become answers."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handle) -> web.StreamResponse:
        request_id = request[REQUEST_ID] = f"{random.getrandbits(64):016x}"
        try:
            guard.check_host(request)
            request[CROSS_ORIGIN] = origin = guard.check_origin(request) or ""
            if origin and request.method == "OPTIONS":
                return preflight()
            return await handler(request)
        except web.HTTPException as error:
            return from_http(error, request)
        except ConnectionError:
            raise
        except Exception as error:
            if request.writer.output_size:
                _log.error("request_failed", request_id=request_id, exc_info=error)
                raise ConnectionResetError("the answer had begun") from error
            return _answer(error, request)

    return guarded


def _answer(error: Exception, request: web.Request) -> web.Response:
    if isinstance(error, BotError) and status_of(error) != 500:
        return from_error(error, request)
    _log.error("request_failed", request_id=request[REQUEST_ID], exc_info=error)
    return problem(500, "internal", INTERNAL, request)
