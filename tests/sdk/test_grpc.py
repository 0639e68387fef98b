"""Custom actions over gRPC: the messages, streamed responses, interruption, failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict

from bot.core import events as ev
from bot.core.errors import BotError, Rejected, SkillError
from bot.core.messages import Choices, Message, Text
from bot.core.protocols import ActionCall, ActionResult
from bot.project.endpoints import Endpoint
from bot.sdk.grpc import GrpcActions
from bot.sdk.wire import PACKAGE, message
from tests.sdk.serving import PROGRAM, call

Wire = Mapping[str, Any]
DONE: Wire = {"final_result": {"events": [], "responses": []}}


@dataclass
class Service:
    """An action service that sends `events` and then fails with `code`, if that is set. `hold` keeps it from ending."""

    events: list[Wire] = field(default_factory=lambda: [DONE])
    code: tuple[grpc.StatusCode, str] | None = None
    streams: bool = True
    asked: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    acks: list[str] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    finished: bool = False

    def __post_init__(self) -> None:
        self.hold.set()

    def _take(self, request: Any, context: Any) -> None:
        self.asked.append(MessageToDict(request, preserving_proto_field_name=True))
        self.metadata = dict(context.invocation_metadata())

    async def once(self, request: Any, context: Any) -> Any:
        self._take(request, context)
        if self.code is not None:
            await context.abort(*self.code)
        return ParseDict(self.events[-1]["final_result"], message("WebhookResponse")())

    async def stream(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self._take(request, context)
        for event in self.events:
            if "final_result" in event:
                await self.hold.wait()
            yield ParseDict(event, message("WebhookStreamEvent")())
        self.finished = True
        if self.code is not None:
            await context.abort(*self.code)

    async def ack(self, request: Any, context: Any) -> Any:
        self.acks.append(request.response_id)
        self.hold.set()
        return message("google.protobuf.Empty")()

    def handlers(self) -> dict[str, Any]:
        def made(make: Callable[..., Any], function: Callable[..., Any], request: str) -> Any:
            return make(function, message(request).FromString, lambda answer: answer.SerializeToString())

        found = {
            "Webhook": made(grpc.unary_unary_rpc_method_handler, self.once, "WebhookRequest"),
            "WebhookStream": made(grpc.unary_stream_rpc_method_handler, self.stream, "WebhookRequest"),
            "AckStreamChunks": made(grpc.unary_unary_rpc_method_handler, self.ack, "StreamChunkAck"),
        }
        return found if self.streams else {"Webhook": found["Webhook"]}


@asynccontextmanager
async def serving(service: Service, **endpoint: Any) -> AsyncIterator[GrpcActions]:
    server = grpc.aio.server()
    handler = grpc.method_handlers_generic_handler(f"{PACKAGE}.ActionService", service.handlers())
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    actions = GrpcActions(Endpoint(url=f"grpc://127.0.0.1:{port}", grpc=True, **endpoint), PROGRAM)
    try:
        yield actions
    finally:
        await actions.close()
        await server.stop(None)


async def result(service: Service, asked: ActionCall | None = None, **endpoint: Any) -> ActionResult:
    async with serving(service, **endpoint) as actions:
        return await actions.run(asked or call())


def group(name: str, *pieces: Wire) -> list[Wire]:
    chunks = [{"chunk": {"response_id": name, **piece}} for piece in pieces]
    return [{"chunk_start": {"response_id": name}}, *chunks, {"chunk_end": {"response_id": name}}]


async def test_the_request_holds_tracker_and_domain() -> None:
    service = Service()
    await result(service, token="s3", headers={"X-Team": "a"}, basic_auth=("ann", "pw"))
    body = service.asked[0]
    assert (body["next_action"], body["sender_id"], body["version"]) == ("action_x", "c", "3.6.21")
    assert body["tracker"]["slots"] == {"size": "large", "count": None, "price": None}
    assert [event["event"] for event in body["tracker"]["events"]][-2:] == ["user", "slot"]
    assert {"string_value": "action_x"} in body["domain"]["actions"]
    sent = service.metadata
    assert (sent["token"], sent["x-team"], sent["idempotency-key"]) == ("s3", "a", "c/1/action_x")
    assert sent["authorization"].startswith("Basic ")


async def test_a_key_of_any_text_fits_into_the_metadata() -> None:
    service = Service()
    await result(service, replace(call(), key="a b\nJürgen/1/x"))
    assert service.metadata["idempotency-key"] == "a%20b%0AJ%C3%BCrgen/1/x"


async def test_trap_18_whole_numbers_are_integers_again_except_in_float_slots() -> None:
    events = [{"event": "slot", "name": name, "value": 3} for name in ("count", "price")]
    custom = {"n": 1, "half": 0.5, "many": [2]}
    found = await result(Service([{"final_result": {"events": events, "responses": [{"custom": custom}]}}]))
    values = {event.name: event.value for event in found.events if isinstance(event, ev.SlotSet)}
    assert json.dumps(values) == '{"count": 3, "price": 3.0}'
    said = found.messages[0]
    assert isinstance(said, Message) and said.model_dump()["parts"][0]["data"] == custom
    assert '"n":1}' in said.model_dump_json() or '"n":1,' in said.model_dump_json()


async def test_each_streamed_response_is_one_message_before_the_others() -> None:
    streamed = group("r1", {"text": "One "}, {"text": "two."}, {"buttons": [{"title": "A", "payload": "/a"}]})
    final = {"final_result": {"responses": [{"text": "End."}]}}
    found = await result(Service([*streamed, *group("r2"), *group("r3", {"text": "Three."}), final]))
    texts = [said.text for said in found.messages if isinstance(said, Message)]
    assert texts == ["One two.", "Three.", "End."]
    first = found.messages[0]
    assert isinstance(first, Message) and isinstance(first.parts[1], Choices)


async def test_a_streamed_response_is_said_while_the_action_runs() -> None:
    said: list[Message] = []
    service = Service([*group("r1", {"text": "Early."}), DONE])
    service.hold.clear()

    def say(message: Message) -> None:
        said.append(message)
        service.hold.set()

    assert (await result(service, call(say=say))).messages == ()
    assert [message.parts for message in said] == [(Text(text="Early."),)]


async def test_giving_up_in_the_middle_of_a_response_tells_the_server_and_lets_the_action_end() -> None:
    service = Service([*group("r1", {"text": "One"})[:2], DONE])
    service.hold.clear()
    async with serving(service) as actions:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await actions.run(call())
        await _until(lambda: service.finished)
    assert service.acks == ["r1"]


async def test_giving_up_before_any_response_only_cancels() -> None:
    service = Service()
    service.hold.clear()
    async with serving(service) as actions:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await actions.run(call())
        await asyncio.sleep(0.05)
    assert (service.acks, service.finished) == ([], False)


async def test_a_server_without_streams_is_asked_without_them() -> None:
    service = Service([{"final_result": {"responses": [{"text": "Hi."}]}}], streams=False)
    async with serving(service) as actions:
        for _ in range(2):
            found = await actions.run(call())
            assert [said.text for said in found.messages if isinstance(said, Message)] == ["Hi."]
    assert len(service.asked) == 2


async def failing(code: grpc.StatusCode, details: object = "s3cret", streams: bool = True) -> BotError:
    text = details if isinstance(details, str) else json.dumps(details)
    with pytest.raises(BotError) as caught:
        await result(Service([], (code, text), streams))
    assert "s3cret" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("streams", [True, False])
async def test_a_refusal_is_told_by_its_details(streams: bool) -> None:
    refusal = {"action_name": "action_x", "message": "not now"}
    assert isinstance(await failing(grpc.StatusCode.INTERNAL, refusal, streams), Rejected)


@pytest.mark.parametrize(
    ("code", "details", "said"),
    [
        (grpc.StatusCode.INTERNAL, "s3cret", "its own log says why"),
        (grpc.StatusCode.INTERNAL, "[1]", "its own log says why"),
        (grpc.StatusCode.UNKNOWN, "s3cret", "its own log says why"),
        (grpc.StatusCode.NOT_FOUND, {"resource_type": "ACTION"}, "does not know this action"),
        (grpc.StatusCode.UNAUTHENTICATED, "", "refused our credentials"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "", "status RESOURCE_EXHAUSTED"),
    ],
)
async def test_each_failure_says_what_happened(code: grpc.StatusCode, details: object, said: str) -> None:
    found = await failing(code, details)
    assert isinstance(found, SkillError) and said in str(found)


async def test_trap_2_a_server_that_wants_the_domain_gets_it_once() -> None:
    unknown = (grpc.StatusCode.NOT_FOUND, '{"resource_type": "DOMAIN"}')
    service = Service([], unknown)
    with pytest.raises(SkillError, match="does not know the domain"):
        await result(service, selective_domain=True)
    assert ["domain" in body for body in service.asked] == [False, True]
    assert {body["domain_digest"] for body in service.asked} == {"p1"}


async def test_a_server_that_is_not_there_says_so() -> None:
    actions = GrpcActions(Endpoint(url="grpc://127.0.0.1:9", grpc=True), PROGRAM)
    with pytest.raises(SkillError, match=r"cannot be reached; start it .*bot actions --grpc"):
        await actions.run(call())
    await actions.close()


async def _until(true: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
