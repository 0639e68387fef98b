"""The frames of the WebSocket at `/api/v1/ws`, one JSON object each.

The client says `hello` first, with the last `seq` it has seen. The server sends every public event after it, then
`resumed`, then events as they happen, and drafts of answers that are being worded; `reset` comes first when the
client's past is gone (erased). Each `message` of the client is answered by `ack` (it is stored) or `error`. Its id
makes a resend safe: after a reconnect a client sends again what was not acknowledged.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from connectors.api import Ack, Send
from connectors.texts import Key, WebConversation
from connectors.views import EventView


class HelloFrame(BaseModel):
    """Client: open or resume a conversation."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["hello"]
    conversation: WebConversation = Field(default_factory=str)
    last_seq: int = Field(default=0, strict=True, ge=0, le=2**53)


class MessageFrame(Send):
    """Client: a message, under an id of the client's."""

    type: Literal["message"]
    id: Key


class AckFrame(Ack):
    """Server: the message is stored."""

    type: Literal["ack"] = "ack"


class EventFrame(BaseModel):
    """Server: something that happened."""

    type: Literal["event"] = "event"
    event: EventView


class DraftFrame(BaseModel):
    """Server: the answer to a turn so far, while it is being worded; the message that follows replaces it."""

    type: Literal["draft"] = "draft"
    turn: int
    text: str


class ErrorFrame(BaseModel):
    """Server: a frame was not taken. `id` names the message; `retry_after` (seconds) is set if trying again helps."""

    type: Literal["error"] = "error"
    code: str
    message: str
    id: str | None = None
    retry_after: float | None = None


class ResumedFrame(BaseModel):
    """Server: everything stored has been sent."""

    type: Literal["resumed"] = "resumed"
    conversation: str
    last_seq: int


class ResetFrame(BaseModel):
    """Server: forget what you have shown; the conversation is not there any more or has begun anew."""

    type: Literal["reset"] = "reset"


CLIENT_FRAME: TypeAdapter[HelloFrame | MessageFrame] = TypeAdapter(
    Annotated[HelloFrame | MessageFrame, Field(discriminator="type")]
)
ServerFrame = AckFrame | EventFrame | DraftFrame | ErrorFrame | ResumedFrame | ResetFrame
