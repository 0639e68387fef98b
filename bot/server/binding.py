"""From a `Route` to an aiohttp handler: door, validation by the route's own models, one serialisation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ValidationError

from bot.core.errors import InputError, NotFound
from bot.server.security import OPENAI, RASA, Guard
from bot.telemetry import Telemetry
from connectors.http import Answer, Call, Route, explain
from connectors.limits import Limits

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


def bind(route: Route, guard: Guard, limits: Limits) -> Handle:
    """The handler that aiohttp calls."""
    no_query, no_headers = _empty(route.query), _empty(route.headers)
    most = limits.api_body_bytes if route.large else limits.body_bytes
    wanted_headers = [field.alias for field in route.headers.model_fields.values()] if route.headers else []

    async def handle(request: web.Request) -> web.StreamResponse:
        if route.door == "rasa":
            request[RASA] = True
            guard.check_rasa(request, request.match_info.get("conversation"))
        elif route.door == "key":
            request[OPENAI] = True
        elif route.door == "operator" or (route.needs_origin and "Origin" not in request.headers):
            guard.check_operator(request)
        if route.admit is not None:
            route.admit(request)
        headers = {name: request.headers[name] for name in wanted_headers if name and name in request.headers}
        call: Call[Any, Any] = Call(
            request=request,
            segments=_segments(route.segments, request.match_info),
            query=_checked(route.query, _without_token(request)) if request.query_string else no_query,
            headers=_checked(route.headers, headers) if headers else no_headers,
            body=_parsed(route.body, await _read(request, most, limits)) if route.body or route.raw else None,
            client=guard.client(request),
        )
        answer = await route.handler(call)
        return _response(answer) if isinstance(answer, Answer) else answer

    return handle


def counted(route: Route, handle: Handle, telemetry: Telemetry) -> Handle:
    """The handler, with its answers counted."""

    async def count(request: web.Request) -> web.StreamResponse:
        response = await handle(request)
        telemetry.answered(route.path, response.status)
        return response

    return count


def _response(answer: Answer) -> web.Response:
    body = answer.body.model_dump_json(exclude_none=answer.exclude_none).encode()
    return web.Response(status=answer.status, body=body, content_type="application/json", headers=answer.headers)


def _empty(model: type[BaseModel] | None) -> BaseModel | None:
    """What a request that sends none of these fields is taken to send."""
    return model.model_validate({}) if model else None


def _without_token(request: web.Request) -> dict[str, str]:
    return {name: value for name, value in request.query.items() if name != "token"}


def _segments(model: type[BaseModel] | None, found: Mapping[str, str]) -> BaseModel | None:
    try:
        return model.model_validate(dict(found)) if model else None
    except ValidationError as error:
        raise NotFound(f"there is no such thing: {explain(error)}") from None


def _checked(model: type[BaseModel] | None, found: Mapping[str, str]) -> BaseModel | None:
    try:
        return model.model_validate(found) if model else None
    except ValidationError as error:
        raise InputError(explain(error)) from None


def _parsed(model: type[BaseModel] | None, raw: bytes) -> BaseModel | bytes:
    if model is None:
        return raw
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise InputError(explain(error)) from None


async def _read(request: web.Request, most: int, limits: Limits) -> bytes:
    """The whole body, within its limits of size (`most` bytes) and time."""
    if (request.content_length or 0) > most:
        raise web.HTTPRequestEntityTooLarge(most, request.content_length or 0)
    if most != limits.body_bytes:
        request = request.clone(client_max_size=most)
    try:
        if request.content.is_eof():  # the usual case: it came with the head
            return await request.read()
        async with asyncio.timeout(limits.body_seconds):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout() from None
    except (web.PayloadAccessError, ConnectionError) as error:
        raise InputError(f"the request body broke off: {error}") from None
