"""The REST channel in Rasa's shape: what existing clients and widgets post to.

`sender` names the conversation. It is chosen by the caller, who therefore must be a server or a widget that picks ids
nobody can guess; a request without a sender gets a fresh conversation, never a shared one. `message_id` in the body or
the `Idempotency-Key` header makes a resend safe. Content-Type is ignored, as in Rasa. A `message` that looks like
`/intent` is plain text unless it is the payload of a button that the bot has just offered.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bot.core.events import Recorded, Replied, Settled
from bot.core.messages import Address, Inbound, Message, Text
from bot.core.protocols import Capabilities, Gateway, Receipt
from connectors.http import Answer, Call, Route
from connectors.limits import Limits
from connectors.rendering import RasaMessages, rasa_messages
from connectors.texts import Key, MessageText, Name
from connectors.turns import IdempotencyHeaders, idempotency_key, settled


class RasaRequest(BaseModel):
    """A user's message. Fields that Rasa's clients send and we do not need are accepted and ignored."""

    model_config = ConfigDict(extra="ignore")

    message: MessageText
    sender: Name = Field(default_factory=str, description="The conversation; absent: a new one.")
    metadata: dict[str, JsonValue] = {}
    message_id: Key = Field(default_factory=str, description="Makes a resend safe.")


class Stream(BaseModel):
    """How the answer comes."""

    stream: bool = Field(default=False, description="Lines of JSON, each sent as soon as the bot has said it.")


class Status(BaseModel):
    """Rasa's health answer of a channel."""

    status: str


class RestChannel:
    """`POST /webhooks/rest/webhook`."""

    name = "rest"
    capabilities = Capabilities(markdown=False)

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._gateway: Gateway | None = None

    async def open(self, gateway: Gateway) -> None:
        """Start taking messages."""
        self._gateway = gateway

    def stats(self) -> Mapping[str, float]:
        """Nothing beyond what every channel is counted by."""
        return {}

    async def drain(self) -> None:
        """Nothing stays open: requests end by themselves."""

    async def close(self) -> None:
        """Stop taking messages."""
        self._gateway = None

    def routes(self) -> Sequence[Route]:
        """Rasa's two addresses."""
        return (
            Route("GET", "/webhooks/rest/", self._health, "Whether the channel is there", {200: Status}),
            Route(
                "POST",
                "/webhooks/rest/webhook",
                self._webhook,
                "Say something and get the bot's messages (Rasa's shape)",
                {200: RasaMessages},
                body=RasaRequest,
                query=Stream,
                headers=IdempotencyHeaders,
                stream="text/event-stream",
                errors=(409, 429, 503, 504),
            ),
        )

    async def _health(self, call: Call[None, None]) -> Answer:
        return Answer(200, Status(status="ok"))

    async def _webhook(self, call: Call[RasaRequest, Stream]) -> Answer | web.StreamResponse:
        gateway = self._gateway
        assert gateway is not None, "the server opens a channel before it serves"
        inbound = _inbound(call.body, idempotency_key(call.body.message_id, call.headers))
        receipt = await gateway.submit(inbound)
        if call.query.stream:
            return await _stream(call.request, gateway, receipt)
        outcome = await settled(receipt, self._limits.turn_seconds)
        return Answer(200, rasa_messages(outcome.messages, receipt.conversation))


def _inbound(body: RasaRequest, key: str) -> Inbound:
    sender = body.sender or f"rest-{secrets.token_urlsafe(16)}"
    message = Message(id=f"u.{key}", parts=(Text(text=body.message),))
    return Inbound(
        address=Address(channel="rest", conversation=sender, sender=sender),
        message=message,
        key=key,
        metadata=body.metadata,
    )


async def _stream(request: web.Request, gateway: Gateway, receipt: Receipt) -> web.StreamResponse:
    """Rasa's streaming answer: lines of JSON under the type of an event stream, one a message."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    async for recorded in gateway.follow(receipt.conversation, receipt.seq):
        if recorded.turn == receipt.turn and isinstance(recorded.event, Replied):
            await response.write(_lines(recorded.event.message, receipt.conversation))
        if _over(recorded, receipt.turn):
            break
    await response.write_eof()
    return response


def _lines(message: Message, recipient: str) -> bytes:
    items = rasa_messages((message,), recipient).root
    return b"".join(item.model_dump_json(exclude_none=True).encode() + b"\n" for item in items)


def _over(recorded: Recorded, turn: int) -> bool:
    return recorded.turn == turn and isinstance(recorded.event, Settled)
