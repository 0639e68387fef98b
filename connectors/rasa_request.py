"""What Rasa's HTTP clients post, and the message that becomes of it.

`sender` names the conversation. It is chosen by the caller, who therefore must be a server or a widget that picks ids
nobody can guess; without one the conversation is new, and its id is made of the message's key where that is a random
one. The channel that a client claims to be is kept as a claim; the channel that took the message is what counts.
"""

from __future__ import annotations

import re
import secrets

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from bot.core.messages import Address, Inbound, Message, Text
from connectors.texts import Key, MessageText, Name

_RANDOM = re.compile(r"[0-9a-f]{32}")


class RasaRequest(BaseModel):
    """A user's message. Fields that Rasa's clients send and we do not need are accepted and ignored."""

    model_config = ConfigDict(extra="ignore")

    message: MessageText
    sender: Name = Field(default_factory=str, description="The conversation; absent: a new one.")
    metadata: dict[str, JsonValue] = {}
    message_id: Key = Field(default_factory=str, description="Makes a resend safe.")
    input_channel: Name = Field(default_factory=str, description="Kept as the client's claim; nothing trusts it.")


def inbound(channel: str, body: RasaRequest, key: str, payloads: bool) -> Inbound:
    """The message as `channel` delivers it, under the client's key or one that we made."""
    sender = body.sender or f"{channel}-{key if _RANDOM.fullmatch(key) else secrets.token_hex(16)}"
    return Inbound(
        address=Address(channel=channel, conversation=sender, sender=sender),
        message=Message(id=f"u.{key}", parts=(Text(text=body.message),)),
        key=key,
        metadata=body.metadata,
        payloads=payloads,
        claimed=body.input_channel,
    )
