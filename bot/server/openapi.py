"""The OpenAPI 3.1 description, generated from the very table and models that route and validate requests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bot.server.errors import Problem, RasaProblem
from connectors.http import Route
from connectors.openai_api_errors import ApiProblem

_ALWAYS = (400, 403, 405, 408, 413, 421, 500)
_PLACE = re.compile(r"\{(\w+):[^{}]*\}")
Mode = Literal["validation", "serialization"]
Models = Mapping[Any, Mapping[str, Any]]


def describe(routes: Sequence[Route], name: str, version: str) -> dict[str, Any]:
    """The whole document."""
    schemas, definitions = models_json_schema(
        list(dict.fromkeys(_models(routes))), ref_template="#/components/schemas/{model}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(public_path(route), {})[route.method.lower()] = _operation(route, schemas, definitions)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{name} (Understudy)", "version": version},
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "operator": {"type": "http", "scheme": "bearer"},
                "operatorInQuery": {"type": "apiKey", "in": "query", "name": "token"},
                "key": {"type": "http", "scheme": "bearer"},
                "user": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def public_path(route: Route) -> str:
    """The route's path without aiohttp's patterns."""
    return _PLACE.sub(r"{\1}", route.path)


def _models(routes: Iterable[Route]) -> Iterator[tuple[type[BaseModel], Mode]]:
    yield Problem, "serialization"
    yield RasaProblem, "serialization"
    yield ApiProblem, "serialization"
    for route in routes:
        for model in (route.body, route.query, route.segments, route.headers):
            if model:
                yield model, "validation"
        for answer in route.answers.values():
            if not isinstance(answer, str):
                yield answer, "serialization"


def _operation(route: Route, schemas: Models, definitions: Mapping[str, Any]) -> dict[str, Any]:
    parameters = [
        *_parameters(route.segments, "path", definitions),
        *_parameters(route.query, "query", definitions),
        *_parameters(route.headers, "header", definitions),
    ]
    described: dict[str, Any] = {"summary": route.summary, "operationId": _operation_id(route)}
    if parameters:
        described["parameters"] = parameters
    if route.body:
        content = {"application/json": {"schema": schemas[route.body, "validation"]}}
        described["requestBody"] = {"required": True, "content": content}
    if route.raw:
        content = {route.raw: {"schema": {"type": "string"}}}
        described["requestBody"] = {"required": True, "content": content}
    if route.door == "operator":
        described["security"] = [{"operator": []}, {}]
    if route.door == "key":
        described["security"] = [{"key": []}]
    if route.door == "rasa":
        described["security"] = [{"operator": []}, {"operatorInQuery": []}, {"user": []}, {}]
    described["responses"] = _responses(route, schemas)
    return described


def _parameters(model: type[BaseModel] | None, place: str, definitions: Mapping[str, Any]) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = definitions["$defs"][model.__name__]
    return [
        {"name": name, "in": place, "required": place == "path", "schema": dict(value)}
        for name, value in schema["properties"].items()
    ]


def _responses(route: Route, schemas: Models) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, answer in route.answers.items():
        media = answer if isinstance(answer, str) else "application/json"
        schema = {"type": "string"} if isinstance(answer, str) else schemas[answer, "serialization"]
        stream = {route.stream: {"schema": {"type": "string"}}} if route.stream else {}
        found[str(status)] = _response(status, {media: {"schema": schema}, **stream})
    shape = {"rasa": RasaProblem, "key": ApiProblem}.get(route.door, Problem)
    problem = {"application/json": {"schema": schemas[shape, "serialization"]}}
    errors = {*_ALWAYS, *route.errors, *((401,) if route.door != "public" else ())}
    return found | {str(status): _response(status, problem) for status in sorted(errors) if str(status) not in found}


def _response(status: int, content: Mapping[str, Any]) -> dict[str, Any]:
    if status in (HTTPStatus.SWITCHING_PROTOCOLS, HTTPStatus.NO_CONTENT):
        return {"description": HTTPStatus(status).phrase}
    return {"description": HTTPStatus(status).phrase, "content": content}


def _operation_id(route: Route) -> str:
    return route.method.lower() + re.sub(r"\W+", "_", public_path(route)).rstrip("_")
