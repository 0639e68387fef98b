"""Messages in the shapes that Rasa's clients read, and as plain text for those who can read nothing else.

Rasa's rules are kept: a text is split on blank lines into several messages, a text with buttons is not; a card degrades
to "title : subtitle" and its buttons. One key is ours: `sources`, on the last text of an answer from knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import BaseModel, JsonValue, RootModel

from bot.core.messages import Audio, Card, Choice, Choices, Custom, File, Image, Message, Part, Text

_BLANK_LINES = re.compile(r"\n[ \t]*\n\s*")
NOTHING = "Sorry, I have no answer to that. Please try again or ask for a person."
"""Said instead of silence; the manager never lets it come to that."""


class RasaButton(BaseModel):
    """A button."""

    title: str
    payload: str


class RasaSource(BaseModel):
    """A document that an answer was taken from."""

    title: str
    url: str | None = None
    document: str


class RasaMessage(BaseModel):
    """One message of the bot. Exactly one of text, image, attachment and custom is set; buttons go with a text."""

    recipient_id: str
    text: str | None = None
    buttons: list[RasaButton] | None = None
    image: str | None = None
    attachment: dict[str, JsonValue] | None = None
    custom: dict[str, JsonValue] | None = None
    sources: list[RasaSource] | None = None


class RasaMessages(RootModel[list[RasaMessage]]):
    """The bot's messages, in order; never empty."""


def rasa_messages(messages: Iterable[Message], recipient: str) -> RasaMessages:
    """All messages of a turn in Rasa's shape; an empty turn becomes an explicit message."""
    fields = [item for message in messages for item in _with_sources(message)]
    fields = fields or [{"text": NOTHING}]
    return RasaMessages([RasaMessage(recipient_id=recipient, **item) for item in fields])


def pieces(text: str) -> list[str]:
    """A text cut at its blank lines."""
    return [piece for piece in _BLANK_LINES.split(text.strip()) if piece.strip()]


def joined(parts: Sequence[Part]) -> list[Part]:
    """The parts with buttons right after the text that they belong to: the last one before them."""
    found: list[Part] = []
    for part in parts:
        texts = [index for index, other in enumerate(found, start=1) if isinstance(other, Text)]
        place = texts[-1] if isinstance(part, Choices) and texts else len(found)
        if isinstance(part, Choices) and place < len(found) and isinstance(found[place], Choices):
            place = len(found)
        found.insert(place, part)
    return found


def plain_text(part: Part) -> str:
    """The text of a part, for channels and screen readers that cannot show it."""
    match part:
        case Text():
            return part.text
        case Image():
            return part.alt or part.url
        case File():
            return part.name
        case Audio():
            return "[audio]"
        case Choices():
            return "\n".join(f"- {option.title}" for option in part.options)
        case Card():
            return f"{part.title} : {part.subtitle}" if part.subtitle else part.title
        case Custom():
            return "[custom content]"


def _with_sources(message: Message) -> list[dict[str, Any]]:
    items = list(_items(joined(message.parts)))
    texts = [item for item in items if "text" in item]
    if message.sources and texts:
        texts[-1]["sources"] = [RasaSource(title=s.title, url=s.url, document=s.document) for s in message.sources]
    return items


def _items(parts: Sequence[Part]) -> Iterator[dict[str, Any]]:
    """Rasa's fields of each part; buttons join the text before them."""
    for index, part in enumerate(parts):
        following = parts[index + 1] if index + 1 < len(parts) else None
        match part:
            case Text() if isinstance(following, Choices):
                yield {"text": part.text, "buttons": _buttons(following.options)}
            case Choices() if index and isinstance(parts[index - 1], Text):
                continue
            case Choices():
                yield {"text": plain_text(part), "buttons": _buttons(part.options)}
            case Text():
                yield from ({"text": piece} for piece in pieces(part.text))
            case Image():
                yield {"image": part.url}
            case Custom(data={"attachment": dict() as attachment, **others}) if not others:
                yield {"attachment": attachment}
            case Custom():
                yield {"custom": part.data}
            case Card():
                yield from _card(part)
            case File() | Audio():
                yield _attachment(part)


def _card(card: Card) -> Iterator[dict[str, Any]]:
    yield {"text": plain_text(card), "buttons": _buttons(card.options)}
    if card.image_url:
        yield {"image": card.image_url}


def _attachment(part: File | Audio) -> dict[str, Any]:
    if isinstance(part, File) and part.url:
        return {"attachment": {"type": "file", "payload": {"title": part.name, "src": part.url}}}
    return {"text": plain_text(part)}


def _buttons(options: Sequence[Choice]) -> list[RasaButton]:
    return [RasaButton(title=option.title, payload=option.payload) for option in options]
