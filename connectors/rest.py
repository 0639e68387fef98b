"""The REST channel in Rasa's shape: what existing clients and widgets post to.

`message_id` in the body or the `Idempotency-Key` header makes a resend safe. Content-Type is ignored, as in Rasa. A
`message` that looks like `/intent` is plain text unless it is the payload of a button that the bot has offered, or the
operator lets payloads through on this channel.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field, StringConstraints

from bot.core.protocols import Capabilities, Gateway
from connectors.http import Answer, Call, Route, Setup
from connectors.limits import Limits
from connectors.rasa_request import RasaRequest, inbound
from connectors.rendering import RasaMessages, rasa_messages
from connectors.streaming import Position, as_events, as_lines, position, wants_events
from connectors.turns import IdempotencyHeaders, idempotency_key, settled


class Stream(BaseModel):
    """How the answer comes."""

    stream: bool = Field(
        default=False,
        description="Messages as soon as the bot has said them: server-sent events for a client whose Accept header "
        "names text/event-stream, lines of JSON (as in Rasa) for others.",
    )


class RestHeaders(IdempotencyHeaders):
    """Headers that a sending request may carry."""

    last_event: Annotated[str, StringConstraints(max_length=200)] = Field(
        default_factory=str,
        alias="Last-Event-ID",
        description="Go on with a stream of server-sent events.",
        json_schema_extra={"pattern": r"^([!-~]{1,128}:[0-9]{1,15}\.[0-9]{1,6})?$"},  # checked, and explained, later
    )


class Status(BaseModel):
    """Rasa's health answer of a channel."""

    status: str


class RestChannel:
    """`POST /webhooks/rest/webhook`."""

    name = "rest"
    capabilities = Capabilities(markdown=False)

    def __init__(self, limits: Limits, setup: Setup = Setup()) -> None:  # noqa: B008 - a frozen value
        self._limits, self._payloads = limits, setup.payloads
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
                headers=RestHeaders,
                stream="text/event-stream",
                errors=(409, 429, 503, 504),
            ),
        )

    async def _health(self, call: Call[None, None]) -> Answer:
        return Answer(200, Status(status="ok"))

    async def _webhook(self, call: Call[RasaRequest, Stream]) -> Answer | web.StreamResponse:
        gateway = self._gateway
        assert gateway is not None, "the server opens a channel before it serves"
        at, key = _place(call)
        receipt = await gateway.submit(inbound(self.name, call.body, key, self._payloads))
        if call.query.stream and wants_events(call.request):
            return await as_events(call.request, gateway, receipt, at, self._limits.heartbeat_seconds)
        if call.query.stream:
            return await as_lines(call.request, gateway, receipt)
        outcome = await settled(receipt, self._limits.turn_seconds)
        return Answer(200, rasa_messages(outcome.messages, receipt.conversation))


def _place(call: Call[RasaRequest, Stream]) -> tuple[Position, str]:
    """Where the stream begins, and the message's key, which the id of a broken stream holds.

    Raises:
        InputError: the Last-Event-ID is none of ours.
        DuplicateMismatch: it belongs to another message.
    """
    at = position(call.headers.last_event) if call.headers.last_event else None
    body = call.body
    if not (body.sender or body.message_id or call.headers.key or at):
        key = secrets.token_hex(16)  # it will name the conversation, so nobody may guess it
    else:
        key = idempotency_key(body.message_id, call.headers, at.key if at else "")
    return at or Position(key, (0, -1)), key
