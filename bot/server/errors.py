"""Errors as JSON: `{"error": {"code", "message", "request_id"}}`, never a traceback."""

from __future__ import annotations

import math
from http import HTTPStatus

from aiohttp import web
from pydantic import BaseModel

from bot.core.errors import BotError, Busy, Conflict, DuplicateMismatch, NotFound, Refused, UserError
from bot.server.security import Forbidden, Misdirected, Unauthorized
from connectors.http import RateLimited
from connectors.turns import OutcomePending

INTERNAL = "something went wrong on our side; the operator finds it in the log under this request id"
_STATUS: tuple[tuple[type[BotError], int], ...] = (
    (NotFound, 404),
    (DuplicateMismatch, 409),
    (Unauthorized, 401),
    (Forbidden, 403),
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


class Problem(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorBody


def status_of(error: BotError) -> int:
    """The HTTP status of an error raised on purpose; 500 if it is not the caller's to mend."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(status: int, code: str, message: str, request_id: str) -> web.Response:
    """An error answer."""
    body = Problem(error=ErrorBody(code=code, message=message, request_id=request_id))
    return web.Response(status=status, body=body.model_dump_json().encode(), content_type="application/json")


def from_error(error: BotError, request_id: str) -> web.Response:
    """The answer to an error raised on purpose."""
    response = problem(status_of(error), error.code, str(error), request_id)
    if isinstance(error, Refused):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, Unauthorized):
        response.headers["WWW-Authenticate"] = 'Bearer realm="operators"'
    return response


def from_http(error: web.HTTPException, request_id: str) -> web.Response:
    """The answer to an error that aiohttp raised: no such address, wrong method, body too large."""
    code = HTTPStatus(error.status).name.lower()
    message = {
        404: "there is nothing at this address; /openapi.json lists what there is",
        405: "this address does not take that method; see the Allow header",
        413: "the request body is too large; docs/limits.md lists the limits",
    }.get(error.status, error.reason)
    response = problem(error.status, code, message, request_id)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
