"""Our own JSON interface to web conversations.

A conversation is named by an id that nobody can guess; whoever knows it may write to it and read its public view. The
id's form keeps these conversations apart from those of other channels, whose ids callers choose. Nothing is stored
before the first message, so ids cost nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StringConstraints, model_validator
from pydantic.config import JsonDict

from bot.core.errors import NotFound
from bot.core.events import Rated, Replied
from bot.core.messages import Address, Inbound, Message, Text
from bot.core.protocols import Gateway, Receipt
from connectors.http import Answer, Call, Route, Throttle
from connectors.limits import Limits
from connectors.texts import PRINTABLE, Key, MessageText, WebConversation
from connectors.turns import IdempotencyHeaders, idempotency_key, settled
from connectors.views import EventView, MessageView, event_view, message_view

_ONE_OF: JsonDict = {"oneOf": [{"required": ["text"]}, {"required": ["payload"]}]}


class Segments(BaseModel):
    """The path of a web conversation."""

    conversation: WebConversation


class Created(BaseModel):
    """A new conversation."""

    conversation: WebConversation


class Send(BaseModel):
    """A message: `text`, or the `payload` of a button that the bot has offered, with the button's `title` to show."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_ONE_OF)

    id: Key = Field(default_factory=str)
    text: MessageText = Field(default_factory=str)
    payload: MessageText = Field(default_factory=str)
    title: Annotated[str, StringConstraints(strict=True, max_length=200, pattern=PRINTABLE)] = Field(
        default_factory=str, min_length=1
    )

    @model_validator(mode="after")
    def _one(self) -> Send:
        if bool(self.text) == bool(self.payload):
            raise ValueError("exactly one of 'text' and 'payload' is needed")
        return self


class Wait(BaseModel):
    """Whether to wait for the outcome."""

    model_config = ConfigDict(extra="forbid")

    wait: bool = Field(default=True, description="false: answer 202 as soon as the message is stored.")


class Ack(BaseModel):
    """The message is stored and survives a power cut."""

    conversation: str
    id: str
    seq: int
    turn: int
    duplicate: bool


class OutcomeView(Ack):
    """How the turn ended."""

    outcome: str
    messages: list[MessageView]


class After(BaseModel):
    """Where to go on reading."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(default=0, ge=0, le=2**53)
    limit: int = Field(default=200, ge=1, le=1_000)


class Events(BaseModel):
    """A page of public events. Go on with `after=last_seq` while `more`."""

    events: list[EventView]
    last_seq: int
    more: bool


def _whole(value: object) -> object:
    """JSON knows one kind of number: 3.0 is the integer 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Rating(BaseModel):
    """A judgement of the bot's message at `seq`: 1 is good, -1 is bad."""

    model_config = ConfigDict(extra="forbid")

    seq: Annotated[int, BeforeValidator(_whole)] = Field(strict=True, ge=1, le=2**53)
    score: float = Field(strict=True, ge=-1, le=1)
    reason: str = Field(default="", strict=True, max_length=500, pattern=r"^[^\x00]*$")


class Stored(BaseModel):
    """The fact is stored."""

    seq: int


class ConversationApi:
    """The handlers. `submit` serves the WebSocket too, so both obey the same rules."""

    def __init__(self, limits: Limits, payloads: bool = False) -> None:
        self._limits, self._payloads = limits, payloads
        self._gateway: Gateway | None = None
        self._messages = Throttle(limits.messages_per_second, limits.messages_burst)
        per_minute = limits.new_conversations_per_minute
        self._conversations = Throttle(per_minute / 60, max(1.0, per_minute))

    def open(self, gateway: Gateway | None) -> None:
        """Take messages for this gateway; None stops it."""
        self._gateway = gateway

    @property
    def gateway(self) -> Gateway:
        """The manager's side."""
        assert self._gateway is not None, "the server opens a channel before it serves"
        return self._gateway

    def routes(self) -> Sequence[Route]:
        """The table."""
        one = "/api/v1/conversations/{conversation}"
        return (
            Route("POST", "/api/v1/conversations", self._create, "Begin a conversation", {201: Created}, errors=(429,)),
            Route(
                "POST",
                f"{one}/messages",
                self._send,
                "Say something",
                {200: OutcomeView, 202: Ack},
                body=Send,
                query=Wait,
                segments=Segments,
                headers=IdempotencyHeaders,
                errors=(404, 409, 429, 503, 504),
            ),
            Route(
                "GET",
                f"{one}/events",
                self._events,
                "Read the conversation",
                {200: Events},
                query=After,
                segments=Segments,
                errors=(404, 503),
            ),
            Route(
                "POST",
                f"{one}/ratings",
                self._rate,
                "Judge a message of the bot",
                {201: Stored},
                body=Rating,
                segments=Segments,
                errors=(404, 429, 503),
            ),
        )

    async def submit(self, conversation: str, body: Send, key: str) -> Receipt:
        """Commit a message.

        Raises:
            Refused: too many messages, or the manager refuses.
            DuplicateMismatch: the key was used for another message.
        """
        self._messages.take(conversation, "messages in this conversation")
        message = Message(id=f"u.{key}", parts=(Text(text=body.text or body.payload),))
        address = Address(channel="web", conversation=conversation, sender=conversation)
        title: dict[str, JsonValue] = {"title": body.title} if body.title else {}
        inbound = Inbound(address=address, message=message, key=key, metadata=title, payloads=self._payloads)
        return await self.gateway.submit(inbound)

    async def _create(self, call: Call[None, None]) -> Answer:
        self._conversations.take(call.client, "new conversations from this address")
        return Answer(201, Created(conversation=new_conversation()))

    async def _send(self, call: Call[Send, Wait]) -> Answer:
        key = idempotency_key(call.body.id, call.headers)
        receipt = await self.submit(call.segments.conversation, call.body, key)
        if not call.query.wait:
            return Answer(202, ack(receipt, key))
        outcome = await settled(receipt, self._limits.turn_seconds)
        shown = [message_view(message) for message in outcome.messages]
        return Answer(200, OutcomeView(**dict(ack(receipt, key)), outcome=outcome.outcome, messages=shown))

    async def _events(self, call: Call[None, After]) -> Answer:
        limit = min(call.query.limit, self._limits.page_events)
        found = await self.gateway.read(call.segments.conversation, call.query.after, limit)
        shown = [view for view in map(event_view, found) if view]
        last = found[-1].seq if found else call.query.after
        return Answer(200, Events(events=shown, last_seq=last, more=len(found) == limit))

    async def _rate(self, call: Call[Rating, None]) -> Answer:
        rating, conversation = call.body, call.segments.conversation
        self._messages.take(conversation, "messages in this conversation")
        found = await self.gateway.read(conversation, rating.seq - 1, 1)
        event = found[0].event if found and found[0].seq == rating.seq else None
        if not isinstance(event, Replied):
            raise NotFound(f"event {rating.seq} is no message of the bot; rate one whose kind is 'bot'")
        fact = Rated(message=event.message.id, score=rating.score, reason=rating.reason)
        return Answer(201, Stored(seq=(await self.gateway.record(conversation, fact)).seq))


def new_conversation() -> str:
    """An id with 128 random bits."""
    return f"web-{secrets.token_urlsafe(16)}"


def ack(receipt: Receipt, key: str) -> Ack:
    """The acknowledgement of a stored message."""
    return Ack(
        conversation=receipt.conversation, id=key, seq=receipt.seq, turn=receipt.turn, duplicate=receipt.duplicate
    )
