"""What a visitor may see of a conversation: their own words, the bot's messages and how each turn ended.

Everything else in the log (predictions, slots, passages, failures) is for operators.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from bot.core.events import Received, Recorded, Replied, Settled
from bot.core.messages import Message, Part, Source


class MessageView(BaseModel):
    """A message of the bot."""

    id: str
    parts: tuple[Part, ...]
    sources: tuple[Source, ...] = ()


class EventView(BaseModel):
    """One event: `user` has id (the client's message id) and text, `bot` a message, `settled` an outcome.

    `at` is seconds since 1970 UTC. `seq` grows, with gaps where an event is not public.
    """

    kind: Literal["user", "bot", "settled"]
    seq: int
    turn: int
    at: float
    id: str | None = None
    text: str | None = None
    message: MessageView | None = None
    outcome: str | None = None


def message_view(message: Message) -> MessageView:
    """The public side of a message."""
    return MessageView.model_construct(id=message.id, parts=message.parts, sources=message.sources)


def event_view(recorded: Recorded) -> EventView | None:
    """The public side of an event; None if it has none."""
    event, seq, turn, at = recorded.event, recorded.seq, recorded.turn, recorded.at
    match event:
        case Received() if event.message.parts:  # a reminder is a message that nobody said
            title = event.metadata.get("title")
            text = title if isinstance(title, str) else event.message.text
            return EventView(kind="user", seq=seq, turn=turn, at=at, id=event.key, text=text)
        case Replied():
            return EventView(kind="bot", seq=seq, turn=turn, at=at, message=message_view(event.message))
        case Settled():
            return EventView(kind="settled", seq=seq, turn=turn, at=at, outcome=event.outcome)
        case _:
            return None
