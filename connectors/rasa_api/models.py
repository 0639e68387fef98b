"""The bot's model: its status, what it understands, training, testing, loading; and the domain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from bot.core.errors import BotError, InputError
from bot.core.rasa import RASA_VERSION
from bot.core.rasa.domain import rasa_domain
from bot.core.rasa.parse import rasa_parse
from bot.core.rasa.stories import scalar
from connectors.http import Answer, Call, Route
from connectors.rasa_api import shapes
from connectors.rasa_api.emulation import emulate
from connectors.rasa_api.operations import NotNow, Operations, Order, Reads, Trained

_log = structlog.get_logger("understudy.rasa_api")
COMPATIBLE = "3.5.0"
YAML = ("application/x-yaml", "application/yaml", "application/yml", "text/yaml", "text/x-yaml", "text/yml")
_CALLBACK_SECONDS = 30.0


class Parsing:
    """Texts to understand."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads

    def basic(self) -> Sequence[Route]:
        """What is always there."""
        return (
            Route("POST", "/model/parse", self._parse, "Understand a text, without a conversation",
                  {200: shapes.Parsed}, body=shapes.ParseRequest, query=shapes.Emulate, door="rasa",
                  errors=(404, 409, 503)),
        )  # fmt: skip

    async def _parse(self, call: Call[shapes.ParseRequest, shapes.Emulate]) -> Answer:
        parsed = rasa_parse(await self._reads.parse(call.body.text), self._reads.program())
        return Answer(200, shapes.Parsed(emulate(call.query.emulation_mode, parsed)), exclude_none=False)


class Models:
    """The model and the domain. What is sent to callback addresses is in `later` until it was sent."""

    def __init__(self, operations: Operations) -> None:
        self._do = operations
        self.later: set[asyncio.Task[None]] = set()

    def routes(self) -> Sequence[Route]:
        """What the operator may want besides."""
        text: dict[str, Any] = {"raw": "application/yaml", "large": True, "door": "rasa"}
        busy = (409, 503)
        return (
            Route("GET", "/version", self._version, "The version of Rasa that we are like", {200: shapes.RasaVersion}),
            Route("GET", "/status", self._status, "The model in use", {200: shapes.ModelStatus}, door="rasa",
                  errors=busy),
            Route("GET", "/domain", self._domain, "The domain, as JSON or YAML", {200: shapes.RasaReport}, door="rasa",
                  stream=YAML[0], errors=(406, *busy)),
            Route("POST", "/model/train", self._train, "Train a model from a project in one YAML text",
                  {200: "application/gzip", 204: "text/plain"}, query=shapes.TrainQuery, errors=busy, **text),
            Route("POST", "/model/test/stories", self._test_stories, "Play test stories", {200: shapes.RasaReport},
                  query=shapes.TestQuery, errors=busy, **text),
            Route("POST", "/model/test/intents", self._test_intents, "Compare what is understood with labels",
                  {200: shapes.RasaReport, 204: "text/plain"}, query=shapes.TestQuery, errors=busy, **text),
            Route("PUT", "/model", self._load, "Put a model to use", {204: "text/plain"}, body=shapes.ModelToLoad,
                  door="rasa", errors=(404, *busy)),
            Route("DELETE", "/model", self._unload, "Use no model any more", {204: "text/plain"}, door="rasa",
                  errors=busy),
        )  # fmt: skip

    # Reading

    async def _version(self, call: Call[None, None]) -> Answer:
        return Answer(200, shapes.RasaVersion(version=RASA_VERSION, minimum_compatible_version=COMPATIBLE))

    async def _status(self, call: Call[None, None]) -> Answer:
        model = self._do.model()
        if model is None:
            raise NotNow("no model is loaded; load one with PUT /model")
        return Answer(
            200,
            shapes.ModelStatus(model_file=model.file, model_id=model.id, num_active_training_jobs=self._do.training()),
        )

    async def _domain(self, call: Call[None, None]) -> web.Response:
        domain = rasa_domain(self._do.program())
        accepted = [part.split(";")[0].strip().lower() for part in call.request.headers.get("Accept", "*/*").split(",")]
        for wanted in accepted:
            if wanted in ("application/json", "application/*", "*/*", ""):
                return web.json_response(domain)
            if wanted in YAML or wanted == "text/*":
                return web.Response(text=as_yaml(domain), content_type=YAML[0])
        raise web.HTTPNotAcceptable(reason="the domain comes as application/json or application/x-yaml")

    # Training and testing

    async def _train(self, call: Call[bytes, shapes.TrainQuery]) -> web.Response:
        order = Order(_text(call.body, "training data"), call.query.save_to_default_model_directory)
        if call.query.callback_url:
            return self._call_back(call.query.callback_url, lambda: self._trained(order))
        trained = await self._do.train(order)
        headers = {"filename": trained.name, "Content-Disposition": f'attachment; filename="{trained.name}"'}
        return web.Response(body=trained.content, content_type="application/gzip", headers=headers)

    async def _trained(self, order: Order) -> bytes:
        trained: Trained = await self._do.train(order)
        return trained.content

    async def _test_stories(self, call: Call[bytes, shapes.TestQuery]) -> Answer:
        report = await self._do.test_stories(_text(call.body, "test stories"))
        return Answer(
            200, shapes.RasaReport({**report, "is_end_to_end_evaluation": call.query.e2e}), exclude_none=False
        )

    async def _test_intents(self, call: Call[bytes, shapes.TestQuery]) -> Answer | web.Response:
        if call.query.cross_validation_folds:
            raise InputError(
                "cross-validation is not done over HTTP; `bot train` holds rows out and reports what it measured there"
            )
        text = _text(call.body, "labelled texts")
        if call.query.callback_url:
            return self._call_back(call.query.callback_url, lambda: self._tested(text))
        return Answer(200, shapes.RasaReport(dict(await self._do.test_intents(text))), exclude_none=False)

    async def _tested(self, text: str) -> bytes:
        return json.dumps(await self._do.test_intents(text)).encode()

    def _call_back(self, url: str, work: Callable[[], Awaitable[bytes]]) -> web.Response:
        """Answer at once; what comes of the work is sent to an address when it is done."""
        task = asyncio.create_task(_report(url, work))
        self.later.add(task)
        task.add_done_callback(self.later.discard)
        return web.Response(status=204)

    # Loading

    async def _load(self, call: Call[shapes.ModelToLoad, None]) -> web.Response:
        if not call.body.model_file:
            raise InputError(
                "only models of this machine can be loaded: give 'model_file', the id of a bundle (`bot models list`), "
                "or the file name that POST /model/train answered with"
            )
        await self._do.load(call.body.model_file)
        return web.Response(status=204)

    async def _unload(self, call: Call[None, None]) -> web.Response:
        await self._do.unload()
        return web.Response(status=204)


async def _report(url: str, work: Callable[[], Awaitable[bytes]]) -> None:
    try:
        body, failed = await work(), False
    except BotError as error:
        body, failed = json.dumps({"status": "failure", "message": str(error), "code": 500}).encode(), True
    try:
        timeout = aiohttp.ClientTimeout(total=_CALLBACK_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as client, client.post(url, data=body) as answer:
            _log.info("result sent to callback", status=answer.status, failed=failed)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        _log.error("the result could not be sent to its callback", reason=type(error).__name__)


def _text(body: bytes, what: str) -> str:
    """Raises: InputError, if there is no text in the body."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("the request body must be UTF-8 text") from None
    if not text.strip():
        raise InputError(f"give {what} in the request body, as YAML")
    return text


def as_yaml(value: Any, indent: str = "") -> str:
    """Plain data as YAML, in blocks; scalars as JSON writes them where they need it."""
    if isinstance(value, Mapping) and value:
        lines = [f"{indent}{scalar(str(key))}:{_inner(item, indent + '  ')}" for key, item in value.items()]
    elif isinstance(value, list | tuple) and value:
        lines = [f"{indent}-{_inner(item, indent + '  ')}" for item in value]
    else:
        return f"{indent}{_empty(value)}\n"
    return "".join(lines)


def _inner(value: Any, indent: str) -> str:
    nested = isinstance(value, Mapping | list | tuple) and bool(value)
    return f"\n{as_yaml(value, indent)}" if nested else f" {_empty(value)}\n"


def _empty(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{}"
    return "[]" if isinstance(value, list | tuple) else scalar(value)
