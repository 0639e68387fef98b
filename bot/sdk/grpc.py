"""Custom actions of an action server over gRPC, with responses that are streamed while the action runs.

A streamed response is said when it is complete, before the action ends. When the turn is given up while one is under
way (its deadline passed, or somebody interrupted it), the server is told so: it drops what is left of the response,
the action may come to its end, and what it brings is thrown away here.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import grpc
from google.protobuf.json_format import MessageToDict, ParseDict
from pydantic import JsonValue

from bot.core.errors import ProjectError, Rejected, SkillError
from bot.core.messages import Message
from bot.core.program import Program
from bot.core.protocols import ActionCall, ActionResult
from bot.core.rasa.domain import rasa_domain
from bot.project.endpoints import Endpoint
from bot.sdk.answers import Reader, whole
from bot.sdk.calls import VERSION, sent_key, tracker_of, validates
from bot.sdk.chunks import Chunks
from bot.sdk.link import basic
from bot.sdk.telling import Teller, Wire
from bot.sdk.wire import SERVICE, message

_log = logging.getLogger(__name__)
Item = TypeVar("Item")
LARGEST = 16 << 20
"""Bytes of an answer that are read."""
FINISH = 30.0
"""Seconds that an interrupted action gets, as in rasa-sdk."""
_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


class GrpcActions:
    """An `ActionServer` behind a `grpc://` or `grpcs://` address. It is taken to know every action of the domain."""

    def __init__(self, endpoint: Endpoint, program: Program) -> None:
        self._endpoint, self._program = endpoint, program
        self._teller = Teller(program, _events)
        self._address = urlsplit(endpoint.url).netloc.rpartition("@")[2]
        self._tls = _credentials(endpoint)
        self._metadata = _metadata(endpoint)
        self._channel: Any = None
        self._streams = True
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def names(self) -> tuple[str, ...]:
        """See `ActionServer.names`."""
        return self._program.actions

    async def run(self, call: ActionCall) -> ActionResult:
        """Run one action.

        Raises:
            Rejected: the action refused.
            SkillError: there was no result; says why.
        """
        try:
            return await self._run(call)
        except SkillError as error:
            _log.error("%s", error)
            raise

    async def close(self) -> None:
        """End the connection."""
        for task in self._ending:
            task.cancel()
        if self._channel is not None:
            channel, self._channel = self._channel, None
            await channel.close()

    async def _run(self, call: ActionCall) -> ActionResult:
        """Send the whole domain, or, where the author chose so, its name first and it itself only when asked."""
        digest = self._program.id if self._endpoint.selective_domain and not validates(call.name) else None
        try:
            return await self._asked(call, digest, domain=digest is None)
        except _UnknownDomain:
            return await self._asked(call, digest, domain=True)

    async def _asked(self, call: ActionCall, digest: str | None, domain: bool) -> ActionResult:
        request = await self._request(call, digest) + (self._domain if domain else b"")
        try:
            if self._streams:
                return await self._stream(request, call)
        except _NoStreams:
            self._streams = False
        return await self._once(request, call)

    async def _request(self, call: ActionCall, digest: str | None) -> bytes:
        """A request without the domain. Messages of the same type put one behind the other are one message."""
        tracker = await tracker_of(call, self._teller)
        loop = {key: value for key, value in tracker.state["active_loop"].items() if value is not None}
        tracker.state["active_loop"] = [{"key": key, "value": _as_text(value)} for key, value in loop.items()]
        head = {
            "next_action": call.name,
            "sender_id": call.conversation,
            "tracker": tracker.state,
            "version": VERSION,
            **({"domain_digest": digest} if digest else {}),
        }
        return _packed(head) + b"".join(tracker.events)

    @cached_property
    def _domain(self) -> bytes:
        """The domain as a part of a request: lists of names or objects are tagged."""
        domain = rasa_domain(self._program)
        for key in ("intents", "entities", "actions"):
            domain[key] = [_tagged(item) for item in domain.get(key) or ()]
        return _packed({"domain": domain})

    async def _once(self, request: bytes, call: ActionCall) -> ActionResult:
        try:
            answer = await self._method("Webhook", "WebhookResponse")(request, metadata=self._sent(call))
        except grpc.aio.AioRpcError as error:
            raise self._fault(error, call) from error
        return Reader(call.name, self._program).result(_plain(answer))

    async def _stream(self, request: bytes, call: ActionCall) -> ActionResult:
        stream = self._method("WebhookStream", "WebhookStreamEvent", many=True)(request, metadata=self._sent(call))
        told: asyncio.Queue[Any] = asyncio.Queue()
        pump = asyncio.create_task(_pump(stream, told))
        answer, given_up = _Answer(call), False
        try:
            while (event := await told.get()) is not None:
                if isinstance(event, grpc.aio.AioRpcError):
                    raise self._fault(event, call) from event
                answer.take(event)
        except asyncio.CancelledError:
            given_up = True
            self._spawn(self._give_up(pump, answer.open))
            raise
        finally:
            if not given_up:
                pump.cancel()
        result = Reader(call.name, self._program).result(answer.final)
        return ActionResult(messages=(*answer.said, *result.messages), events=result.events)

    async def _give_up(self, pump: asyncio.Task[None], response: str) -> None:
        """Tell the server that nobody listens, and let a streaming action come to its end."""
        try:
            if response:
                ack = message("StreamChunkAck")(response_id=response)
                told = self._method("AckStreamChunks", "google.protobuf.Empty")
                await told(ack.SerializeToString(), metadata=self._metadata, timeout=FINISH)
                await asyncio.wait([pump], timeout=FINISH)
        except grpc.aio.AioRpcError as error:
            _log.info("the action server was not told of the interruption: %s", error.code())
        finally:
            pump.cancel()

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _sent(self, call: ActionCall) -> tuple[tuple[str, str], ...]:
        return (*self._metadata, ("idempotency-key", sent_key(call)))

    def _method(self, name: str, answer: str, many: bool = False) -> Any:
        """A method of the service; the channel is made in the running loop when it is first needed."""
        if self._channel is None:
            if self._tls is None:
                self._channel = grpc.aio.insecure_channel(self._address, options=_OPTIONS)
            else:
                self._channel = grpc.aio.secure_channel(self._address, self._tls, options=_OPTIONS)
        make = self._channel.unary_stream if many else self._channel.unary_unary
        return make(
            SERVICE + name,
            response_deserializer=message(answer).FromString,
        )

    def _fault(self, error: grpc.aio.AioRpcError, call: ActionCall) -> Exception:
        """What a failed call means. Details of a failure may quote the user, so they are not passed on."""
        code, details = error.code(), _details(error)
        if code == grpc.StatusCode.UNIMPLEMENTED and self._streams:
            return _NoStreams()
        if code == grpc.StatusCode.INTERNAL and details.keys() == {"action_name", "message"}:
            return Rejected(call.name)
        if code == grpc.StatusCode.NOT_FOUND and details.get("resource_type") == "DOMAIN":
            return _UnknownDomain(call.name, "the action server does not know the domain")
        said = _COMPLAINTS.get(code.name, f"answered with status {code.name}")
        return SkillError(call.name, f"the action server at {self._endpoint.url} {said}")


class _UnknownDomain(SkillError):
    """The server wants the domain itself."""


class _NoStreams(Exception):
    """The server is older than streaming."""


class _Answer:
    """What has come of an answer so far. `open` is the streamed response under way."""

    def __init__(self, call: ActionCall) -> None:
        self._say = call.say
        self._chunks = Chunks()
        self.open = ""
        self.said: list[Message] = []
        self.final: object = None

    def take(self, event: Any) -> None:
        """Take the next event of the stream. An `error` is followed by the status that says what it is."""
        match _kind(event):
            case "chunk_start":
                self._end()
                self.open = event.chunk_start.response_id
            case "chunk":
                piece = _plain(event.chunk)
                self._chunks.add({key: value for key, value in piece.items() if key != "response_id"})
            case "chunk_end":
                self._end()
            case "final_result":
                self._end()
                self.final = _plain(event.final_result)

    def _end(self) -> None:
        """The streamed response is complete: say it now if somebody listens, else with the result."""
        message, self._chunks, self.open = self._chunks.message(), Chunks(), ""
        if message is None:
            return
        if self._say is not None:
            self._say(message)
        else:
            self.said.append(message)


async def _pump(stream: AsyncIterator[Item], told: asyncio.Queue[Any]) -> None:
    """Pass on what comes, then the error if there was one, then None. Being a task of its own, it outlives a turn."""
    try:
        async for event in stream:
            told.put_nowait(event)
    except grpc.aio.AioRpcError as error:
        told.put_nowait(error)
    told.put_nowait(None)


def _kind(event: Any) -> str:
    return next((field.name for field, _ in event.ListFields()), "")


def _plain(answer: Any) -> dict[str, JsonValue]:
    """A message as JSON, with whole numbers as integers."""
    found: dict[str, JsonValue] = MessageToDict(answer, preserving_proto_field_name=True)
    return {key: whole(value) for key, value in found.items()}


def _details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    try:
        found = json.loads(error.details() or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _packed(body: dict[str, Any]) -> bytes:
    """A part of a request, as bytes; keys that the service does not know are left out."""
    made = ParseDict(body, message("WebhookRequest")(), ignore_unknown_fields=True)
    found: bytes = made.SerializeToString()
    return found


def _events(events: list[Wire]) -> bytes:
    return _packed({"tracker": {"events": events}})


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _tagged(item: object) -> dict[str, object]:
    return {"string_value" if isinstance(item, str) else "dict_value": item}


def _metadata(endpoint: Endpoint) -> tuple[tuple[str, str], ...]:
    """Credentials and headers of the endpoint; gRPC wants their names in small letters."""
    found = {key.lower(): value for key, value in (*basic(endpoint).items(), *endpoint.headers.items())}
    if endpoint.token:
        found.setdefault(endpoint.token_name.lower(), endpoint.token)
    return tuple(found.items())


def _credentials(endpoint: Endpoint) -> Any:
    """TLS when the address says `grpcs` or a `cafile` is given; None for an open connection."""
    if endpoint.cafile is None:
        return grpc.ssl_channel_credentials() if endpoint.url.startswith("grpcs:") else None
    try:
        return grpc.ssl_channel_credentials(Path(endpoint.cafile).read_bytes())
    except OSError:
        raise ProjectError(f"`cafile`: there is no readable file {endpoint.cafile!r}") from None


_COMPLAINTS = {
    "UNAVAILABLE": "cannot be reached; start it (for actions of this project: bot actions --grpc), "
    "or set `action_endpoint` in endpoints.yml",
    "NOT_FOUND": "does not know this action; register it there",
    "INTERNAL": "failed in this action; its own log says why",
    "UNKNOWN": "failed in this action; its own log says why",
    "UNAUTHENTICATED": "refused our credentials; check `token`, `basic_auth` or `headers` in endpoints.yml",
    "UNIMPLEMENTED": "is no action server",
}
